import type { ParameterSpecs } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import type { ConvNetConfig } from "./config.ts";
import { convolved, defaultParameters, flattened, type Pass, projected } from "./layers.ts";

/** Two 5x5 convolutions with 2x2 pooling, two linear layers; weights and biases as PyTorch draws them. */
export function lenetParameters({
  inputSize,
  channels,
  numClasses,
}: ConvNetConfig): ParameterSpecs {
  const pooled = (size: number) => Math.floor((size - 4) / 2);
  const side = pooled(pooled(inputSize));
  return {
    ...defaultParameters("conv1", [20, channels, 5, 5]),
    ...defaultParameters("conv2", [50, 20, 5, 5]),
    ...defaultParameters("fc1", [500, side * side * 50]),
    ...defaultParameters("fc2", [numClasses, 500]),
  };
}

/** `[B, S, S, C]` to `[B, numClasses]`. */
export function lenet(pass: Pass, x: tf.Tensor): tf.Tensor {
  const pool = (y: tf.Tensor) => tf.maxPool(y as tf.Tensor4D, 2, 2, "valid");
  const first = pool(tf.relu(convolved(pass, "conv1", x))); // [B, 12, 12, 20]
  const second = pool(tf.relu(convolved(pass, "conv2", first))); // [B, 4, 4, 50]
  const hidden = tf.relu(projected(pass, "fc1", flattened(second))); // [B, 500]
  return projected(pass, "fc2", hidden);
}
