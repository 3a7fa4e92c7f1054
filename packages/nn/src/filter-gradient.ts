import * as tf from "@tensorflow/tfjs-core";

/**
 * Registers the gradient of a convolution by its filter on a backend that lacks it, as wasm does; nothing elsewhere.
 *
 * It is a convolution too: of the input with dy as the filter, images as channels and strides as dilations.
 */
export function ensureFilterGradient(): void {
  const backendName = tf.getBackend();
  if (!backendName || tf.getKernel(tf.Conv2DBackpropFilter, backendName)) return;
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropFilter,
    backendName,
    // Tensors come in and go out: the engine wraps only bare infos.
    kernelFunc: ({ inputs, attrs }) => {
      const { x, dy } = inputs as { x: tf.Tensor4D; dy: tf.Tensor4D };
      const window = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
      return tf.tidy(() => filterGradient(x, dy, window));
    },
  });
}

function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, attrs: tf.Conv2DBackpropFilterAttrs) {
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
  const padded = tf.pad(images, [[0, 0], [top, bottom], [left, right], [0, 0]]);
  const dilations: [number, number] = [info.strideHeight, info.strideWidth];
  const whole = tf.conv2d(padded, filter, 1, "valid", "NHWC", dilations); // [in, >= kh, >= kw, out]
  const [height, width, channels, outputs] = filterShape;
  const gradient = tf.slice(whole, [0, 0, 0, 0], [channels, height, width, outputs]);
  return tf.transpose(gradient, [1, 2, 0, 3]);
}
