import * as tf from "@tensorflow/tfjs-core";

/** A gradient kernel as a composition of ordinary ops: tensors come in and go out. */
type Composed = (inputs: never, attributes: never) => tf.Tensor;

/** Backends whose gradient kernels were completed. */
const completed = new Set<string>();

/**
 * Gives the current backend the gradients of convolution and max pooling where it lacks them. The wasm backend (4.22)
 * has none of a convolution by its filter, and its gradient of max pooling adds to memory that it has not cleared.
 */
export function completeGradientKernels(): void {
  const backend = tf.getBackend();
  if (!backend || completed.has(backend)) return;
  completed.add(backend);
  if (backend === "wasm") tf.unregisterKernel(tf.MaxPoolGrad, backend);
  register(backend, tf.Conv2DBackpropFilter, filterGradient);
  register(backend, tf.MaxPoolGrad, maxPoolGradient);
}

function register(backendName: string, kernelName: string, compose: Composed): void {
  if (tf.getKernel(kernelName, backendName)) return;
  // The engine passes tensors through and wraps only bare infos.
  const kernelFunc = ({ inputs, attrs }: { inputs: tf.NamedTensorInfoMap; attrs?: object }) =>
    tf.tidy(() => compose(inputs as never, attrs as never));
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}

/** A convolution of the input with dy as the filter, images as channels and strides as dilations. */
function filterGradient(
  { x, dy }: { x: tf.Tensor4D; dy: tf.Tensor4D },
  attrs: tf.Conv2DBackpropFilterAttrs,
): tf.Tensor {
  const { strides, pad, filterShape, dimRoundingMode, dataFormat } = attrs;
  const first = dataFormat === "NCHW";
  const images = first ? tf.transpose(x, [1, 2, 3, 0]) : tf.transpose(x, [3, 1, 2, 0]);
  const filter = first ? tf.transpose(dy, [2, 3, 0, 1]) : tf.transpose(dy, [1, 2, 0, 3]);
  const last = first ? tf.transpose(x, [0, 2, 3, 1]) : x;
  const info = tf.backend_util.computeConv2DInfo(
    last.shape,
    filterShape,
    strides,
    1,
    pad as number,
    dimRoundingMode,
  );
  const { top, bottom, left, right } = info.padInfo;
  const padded = tf.pad(images, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  const dilations: [number, number] = [info.strideHeight, info.strideWidth];
  const whole = tf.conv2d(padded, filter, 1, "valid", "NHWC", dilations); // [in, >= kh, >= kw, out]
  const [height, width, channels, outputs] = filterShape;
  const gradient = tf.slice(whole, [0, 0, 0, 0], [channels, height, width, outputs]);
  return tf.transpose(gradient, [1, 2, 0, 3]);
}

/** dy goes to the first maximum of each window, window element by window element. */
function maxPoolGradient(
  { dy, input, output }: { dy: tf.Tensor4D; input: tf.Tensor4D; output: tf.Tensor4D },
  { filterSize, strides, pad, dimRoundingMode }: tf.MaxPoolGradAttrs,
): tf.Tensor {
  const info = tf.backend_util.computePool2DInfo(
    input.shape,
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const { top, bottom, left, right } = info.padInfo;
  const sides: [number, number][] = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  const padded = tf.pad(input, sides, Number.NEGATIVE_INFINITY);
  const [, height, width] = padded.shape as [number, number, number, number];
  const step: [number, number] = [info.strideHeight, info.strideWidth];
  let [dx, open]: tf.Tensor[] = [tf.zerosLike(padded), tf.onesLike(dy)];
  for (let r = 0; r < info.filterHeight; r++)
    for (let s = 0; s < info.filterWidth; s++) {
      const end = [r + (dy.shape[1] - 1) * step[0] + 1, s + (dy.shape[2] - 1) * step[1] + 1];
      const [batch, , , channels] = dy.shape;
      const seen = tf.stridedSlice(
        padded,
        [0, r, s, 0],
        [batch, ...end, channels],
        [1, ...step, 1],
      );
      const here = tf.mul(open!, tf.cast(tf.equal(seen, output), "float32"));
      open = tf.sub(open!, here);
      const apart = dilated(tf.mul(dy, here), step);
      const place: [number, number][] = [
        [0, 0],
        [r, height - end[0]!],
        [s, width - end[1]!],
        [0, 0],
      ];
      dx = tf.add(dx!, tf.pad(apart, place));
    }
  return tf.slice(dx!, [0, top, left, 0], input.shape);
}

/** Zeros between the pixels of `[B, H, W, C]`: `step` from one to the next. */
function dilated(x: tf.Tensor4D, [down, across]: [number, number]): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const between = (y: tf.Tensor, rows: number, row: number, step: number) =>
    tf.pad(tf.reshape(y, [rows, 1, row]), [
      [0, 0],
      [0, step - 1],
      [0, 0],
    ]);
  const tall = between(x, batch * height, width * channels, down);
  const wide = between(tall, batch * height * down * width, channels, across);
  const whole = tf.reshape(wide, [batch, height * down, width * across, channels]);
  const kept = [batch, (height - 1) * down + 1, (width - 1) * across + 1, channels];
  return tf.slice(whole, [0, 0, 0, 0], kept) as tf.Tensor4D;
}
