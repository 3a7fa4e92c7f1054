// The models of the recorded runs, in the layouts of PyTorch: images NHWC here, features flattened in C, H, W order.
import type { ApplyFunction, Params } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

/** `weight` `[out, in, kh, kw]`, no padding. */
function convolve(x: tf.Tensor, weight: tf.Tensor, stride: number): tf.Tensor {
  const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
  return tf.conv2d(x as tf.Tensor4D, filter, stride, "valid");
}

const flatten = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [x.shape[0]!, -1]);

function batchNorm(params: Params, x: tf.Tensor, training: boolean) {
  const momentum = 0.1;
  const running = { mean: params["bn.running_mean"]!, variance: params["bn.running_var"]! };
  const normalize = (mean: tf.Tensor, variance: tf.Tensor) => {
    const unit = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(unit, params["bn.weight"]!), params["bn.bias"]!);
  };
  if (!training) return { y: normalize(running.mean, running.variance) };
  const mean = tf.mean(x, [0, 1, 2]);
  const variance = tf.mean(tf.square(tf.sub(x, mean)), [0, 1, 2]);
  const count = x.size / x.shape[3]!;
  const blend = (old: tf.Tensor, now: tf.Tensor) =>
    tf.add(tf.mul(old, 1 - momentum), tf.mul(now, momentum));
  const updates = {
    "bn.running_mean": blend(running.mean, mean),
    "bn.running_var": blend(running.variance, tf.mul(variance, count / (count - 1))),
  };
  return { y: normalize(mean, variance), updates };
}

/** 8 x 8: conv 3 x 3 with stride 2, relu, linear. */
const tiny: ApplyFunction = (params, images) => {
  const x = tf.add(convolve(images, params["conv.weight"]!, 2), params["conv.bias"]!);
  return { logits: linear(flatten(tf.relu(x)), params["fc.weight"]!, params["fc.bias"]!) };
};

const tinybn: ApplyFunction = (params, images, { training = false } = {}) => {
  const x = convolve(images, params["conv.weight"]!, 2);
  const { y, updates } = batchNorm(params, x, training);
  const logits = linear(flatten(tf.relu(y)), params["fc.weight"]!, params["fc.bias"]!);
  return updates ? { logits, updates } : { logits };
};

const lenet: ApplyFunction = (params, images) => {
  const stage = (x: tf.Tensor, name: string) => {
    const y = tf.relu(tf.add(convolve(x, params[`${name}.weight`]!, 1), params[`${name}.bias`]!));
    return tf.maxPool(y as tf.Tensor4D, 2, 2, "valid");
  };
  const dense = (x: tf.Tensor, name: string) =>
    linear(x, params[`${name}.weight`]!, params[`${name}.bias`]!);
  const features = flatten(stage(stage(images, "1.conv1"), "1.conv2"));
  return { logits: dense(tf.relu(dense(features, "1.fc1")), "1.fc2") };
};

/** The models by the name that a recorded case gives. */
export const referenceModels: Readonly<Record<string, ApplyFunction>> = { tiny, tinybn, lenet };
