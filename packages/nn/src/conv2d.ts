import "#gradients";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import { completeGradientKernels } from "./gradient-kernels.ts";

/** Options of {@link conv2d}. */
export interface Conv2dOptions {
  /** `[out]`, added to every pixel; none: no bias. */
  readonly bias?: tf.Tensor | undefined;
  /** Pixels from one window to the next, in both directions; default 1. */
  readonly stride?: number | undefined;
  /** Rows and columns of zeros around the image, on each side; default 0. */
  readonly padding?: number | undefined;
}

/**
 * A 2-D convolution as in PyTorch (a cross-correlation), of images with channels last:
 * `y[b, i, j, o] = bias[o] + sum_{r, s, c} x[b, i stride + r - padding, j stride + s - padding, c] weight[o, c, r, s]`.
 *
 * @param x `[B, H, W, in]` float32
 * @param weight `[out, in, kh, kw]`, as in PyTorch
 * @returns `[B, floor((H + 2 padding - kh) / stride) + 1, ..., out]`; the caller disposes of it
 * @throws DmaeError "shape" for other ranks, channels or a window larger than the image, "argument" for a stride or
 * padding that is not an integer in its range
 * @example
 * ```ts
 * const y = conv2d(tf.ones([1, 3, 3, 1]), tf.ones([1, 1, 3, 3]), { padding: 1 }); // 9 in the middle, 4 in the corners
 * ```
 */
export function conv2d(x: tf.Tensor, weight: tf.Tensor, options: Conv2dOptions = {}): tf.Tensor {
  checkOptions("conv2d", options, { bias: true, stride: true, padding: true });
  const { bias, stride = 1, padding = 0 } = options;
  check(x, weight, bias, stride, padding);
  completeGradientKernels();
  return tf.tidy(() => {
    const filter = tf.transpose(weight as tf.Tensor4D, [2, 3, 1, 0]);
    const sides: [number, number] = [padding, padding]; // a number would take a window for square
    const y = tf.conv2d(x as tf.Tensor4D, filter, stride, [[0, 0], sides, sides, [0, 0]]);
    return bias ? tf.add(y, bias) : y;
  });
}

function check(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor | undefined,
  stride: number,
  padding: number,
): void {
  if (x.rank !== 4 || weight.rank !== 4 || x.shape[3] !== weight.shape[1])
    throw new DmaeError(
      "shape",
      `conv2d: x must be [B, H, W, in] and weight [out, in, kh, kw], got [${x.shape}] and [${weight.shape}]`,
    );
  const [outputs, , height, width] = weight.shape as [number, number, number, number];
  if (bias && (bias.rank !== 1 || bias.shape[0] !== outputs))
    throw new DmaeError("shape", `conv2d: bias must be [${outputs}], got [${bias.shape}]`);
  if (!Number.isInteger(stride) || stride < 1)
    throw new DmaeError("argument", `conv2d: stride must be a positive integer, got ${stride}`);
  if (!Number.isInteger(padding) || padding < 0)
    throw new DmaeError(
      "argument",
      `conv2d: padding must be an integer, 0 or more, got ${padding}`,
    );
  if (x.shape[1]! + 2 * padding < height || x.shape[2]! + 2 * padding < width)
    throw new DmaeError(
      "shape",
      `conv2d: the ${height}x${width} window must fit the padded image, got x [${x.shape}] and padding ${padding}`,
    );
}
