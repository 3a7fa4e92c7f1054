// What the stages compile: Vision Transformers and a training step, at full size or as toys.
import { key, uniform } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

/** Shapes in the words of torch_baseline.py. */
export const shapes = {
  toy: { image: 32, patch: 8, channels: 3, width: 48, depth: 2, heads: 3, classes: 10 },
  small: { image: 64, patch: 8, channels: 3, width: 192, depth: 6, heads: 3, classes: 10 },
  "ViT-B/16": {
    image: 224,
    patch: 16,
    channels: 3,
    width: 768,
    depth: 12,
    heads: 12,
    classes: 1000,
  },
};

export function vitOf({ image, patch, channels, width, depth, heads, classes }) {
  return createViT(
    { width, depth, heads },
    { imageSize: image, patchSize: patch, channels, numClasses: classes },
  );
}

/** Uniform numbers in [0, 1) that every machine draws alike. */
export function floats(seed, shape) {
  const size = shape.reduce((n, d) => n * d, 1);
  return { dtype: "float32", shape, data: Float32Array.from(uniform(key(seed), size)) };
}

export function labels(batch, classes) {
  const data = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) data[i * classes + (i % classes)] = 1;
  return { dtype: "float32", shape: [batch, classes], data };
}

/** Cross entropy and AdamW, on one batch. */
export function trainingStep(shape, batch) {
  const vit = vitOf(shape);
  const train = createTrainStep({
    loss: (params, { x, y }) => ({
      loss: tf.mean(softmaxCrossEntropy(vit.logits(params, x), y)),
    }),
    optimizer: adamw(),
    schedule: () => 1e-4,
    stepsPerEpoch: 100,
  });
  const side = shape.image;
  const inputs = {
    x: floats(6, [batch, side, side, shape.channels]),
    y: labels(batch, shape.classes),
  };
  const state = train.initState(vit.initHost(key(0)));
  const specs = Object.fromEntries(
    Object.entries({ ...inputs, ...train.inputs(0) }).map(([name, { shape: s, dtype }]) => [
      name,
      { shape: s, dtype },
    ]),
  );
  return { train, state, inputs, specs };
}

/** Logits of one batch. */
export function forwardProgram(shape, batch) {
  const vit = vitOf(shape);
  const side = shape.image;
  return {
    program: {
      fn: ({ x, ...params }) => ({ logits: vit.logits(params, x) }),
      specs: { x: { shape: [batch, side, side, shape.channels] } },
      constants: vit.initHost(key(0)),
    },
    inputs: { x: floats(6, [batch, side, side, shape.channels]) },
  };
}
