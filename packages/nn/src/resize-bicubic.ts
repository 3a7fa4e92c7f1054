import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import { matMulEach } from "./mat-mul.ts";

/** Keys' cubic convolution kernel at distance `t` (IEEE ASSP 29(6), 1981), a = -0.75 as in PyTorch by default. */
function keys(t: number, a = -0.75): number {
  const d = Math.abs(t);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

/**
 * The matrix of bicubic interpolation along one axis: `out = matrix . in`. Half-pixel centres, a =
 * -0.75, no antialiasing, indices clamped at the borders: torch's `interpolate(mode="bicubic",
 * align_corners=False)`.
 *
 * @param from length of the axis, `to` its new length; `scale` is input pixels per output pixel
 * (default `from / to`; torch takes `1 / scale_factor` when it is given one)
 * @returns `[to, from]` row-major, float64; each row sums to 1
 */
export function bicubicMatrix(from: number, to: number, scale = from / to): Float64Array {
  const matrix = new Float64Array(to * from);
  for (let row = 0; row < to; row++) {
    const centre = (row + 0.5) * scale - 0.5;
    const left = Math.floor(centre);
    for (let tap = left - 1; tap <= left + 2; tap++) {
      const column = Math.min(Math.max(tap, 0), from - 1);
      matrix[row * from + column]! += keys(centre - tap);
    }
  }
  return matrix;
}

/**
 * The matrix of bicubic interpolation with antialiasing along one axis, as PyTorch's with `antialias=True`: Keys' kernel with a = -0.5,
 * widened where the axis shrinks, its weights divided by their sum, so that borders need no clamping. It differs from
 * {@link bicubicMatrix} for larger axes too.
 *
 * @returns `[to, from]` row-major, float64; each row sums to 1
 */
function antialiasedBicubicMatrix(from: number, to: number): Float64Array {
  const matrix = new Float64Array(to * from);
  const scale = from / to;
  const widening = Math.max(scale, 1);
  for (let row = 0; row < to; row++) {
    const centre = (row + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - 2 * widening + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 2 * widening + 0.5), from);
    const weights = matrix.subarray(row * from + first, row * from + end);
    weights.forEach((_, i) => {
      weights[i] = keys((first + i + 0.5 - centre) / widening, -0.5);
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, i) => {
      weights[i] = weight / total;
    });
  }
  return matrix;
}

/** `matrix^T (x) identity(channels)`: acts on rows `[W * C]` from the right, gives `[w * C]`. */
function acrossColumns(
  matrix: Float64Array,
  from: number,
  to: number,
  channels: number,
): tf.Tensor {
  const spread = new Float32Array(from * channels * to * channels);
  for (let out = 0; out < to; out++)
    for (let column = 0; column < from; column++)
      for (let c = 0; c < channels; c++)
        spread[(column * channels + c) * to * channels + out * channels + c] =
          matrix[out * from + column]!;
  return tf.tensor2d(spread, [from * channels, to * channels]);
}

/**
 * Bicubic resizing as two constant matrix products, so it differentiates and compiles like any other:
 * what the official models do to images before the patches (torchvision 0.14 `Resize` on tensors).
 * Values are not clamped.
 *
 * @param x `[B, H, W, C]` float32
 * @param height new height in pixels
 * @param width new width in pixels
 * @param options `antialias`: widens the kernel when the image shrinks, as PyTorch's `antialias=True`; default false
 * @returns `[B, height, width, C]`; the caller disposes of it
 * @throws DmaeError "shape" if `x` is not of rank 4, "argument" for a size that is not a positive integer
 */
export function resizeBicubic(
  x: tf.Tensor,
  height: number,
  width: number,
  options: { readonly antialias?: boolean } = {},
): tf.Tensor {
  checkOptions("resizeBicubic", options, { antialias: true });
  if (x.rank !== 4)
    throw new DmaeError("shape", `resizeBicubic: x must be [B, H, W, C], got [${x.shape}]`);
  for (const size of [height, width])
    if (!Number.isInteger(size) || size < 1)
      throw new DmaeError(
        "argument",
        `resizeBicubic: height and width must be positive integers, got ${height} and ${width}`,
      );
  const [batch, fromHeight, fromWidth, channels] = x.shape as [number, number, number, number];
  const matrixOf = options.antialias ? antialiasedBicubicMatrix : bicubicMatrix;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [batch * fromHeight, fromWidth * channels]);
    const wide =
      fromWidth === width
        ? rows
        : tf.matMul(rows, acrossColumns(matrixOf(fromWidth, width), fromWidth, width, channels));
    const columns = tf.reshape(wide, [batch, fromHeight, width * channels]);
    const downRows = () =>
      tf.tensor2d(Float32Array.from(matrixOf(fromHeight, height)), [height, fromHeight]);
    const tall = fromHeight === height ? columns : matMulEach(downRows(), columns);
    return tf.reshape(tall, [batch, height, width, channels]);
  });
}
