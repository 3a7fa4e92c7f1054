import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import {
  type Optimizer,
  type ParameterGroups,
  requireDecay,
  requireRange,
  updateEach,
  zeroSlots,
} from "./optimizer.ts";

/** Options of {@link lars}. */
export interface LarsOptions {
  /** Momentum; default 0.9. */
  readonly momentum?: number | undefined;
  /** Ratio of the norm of an update to the norm of its parameter; default 0.001. */
  readonly trustCoefficient?: number | undefined;
  /** Weight decay of the parameters with two or more dimensions; default 0. */
  readonly weightDecay?: number | undefined;
  /** Learning-rate scale and weight decay by parameter. */
  readonly groups?: ParameterGroups | undefined;
}

/**
 * Layer-wise adaptive rate scaling (arXiv:1708.03888) as MAE and DMAE probe with: for a parameter of two or
 * more dimensions `d = g + wd p` is scaled by `trust |p| / |d|` (by 1 where a norm is 0); a bias or gain
 * takes `d = g`. Then `mu = momentum mu + d` and `p = p - lr mu`: the learning rate stays out of the buffer.
 *
 * State: `mu.<name>`.
 */
export function lars(options: LarsOptions = {}): Optimizer {
  checkOptions("lars", options, {
    momentum: true,
    trustCoefficient: true,
    weightDecay: true,
    groups: true,
  });
  const { momentum = 0.9, trustCoefficient = 0.001, weightDecay = 0, groups } = options;
  requireRange("lars: momentum", momentum, 0, 1);
  requireRange("lars: trustCoefficient", trustCoefficient, 0, Number.POSITIVE_INFINITY);
  requireDecay("lars", weightDecay, groups);
  return {
    init: (params) => zeroSlots(params, ["mu"]),
    update: updateEach({ groups, weightDecay }, (param, gradient, slot, scalars, settings) => {
      const direction =
        param.rank > 1 ? scaled(param, gradient, settings.weightDecay, trustCoefficient) : gradient;
      const buffer = tf.add(tf.mul(slot("mu"), scalars.keep!), tf.mul(direction, scalars.add!));
      const rate = tf.mul(scalars.learningRate!, settings.learningRateScale);
      return { param: tf.sub(param, tf.mul(buffer, rate)), slots: { mu: buffer } };
    }),
    scalars: (_step, learningRate) => ({ learningRate, keep: momentum, add: 1 }),
    idle: () => ({ learningRate: 0, keep: 1, add: 0 }),
  };
}

function scaled(
  param: tf.Tensor,
  gradient: tf.Tensor,
  weightDecay: number,
  trustCoefficient: number,
): tf.Tensor {
  const direction = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(param, weightDecay));
  const paramNorm = tf.sqrt(tf.sum(tf.square(param)));
  const directionNorm = tf.sqrt(tf.sum(tf.square(direction)));
  // 1 where either norm is 0; the divisor is then 1 as well, so that no branch divides by 0
  const both = tf.mul(isPositive(paramNorm), isPositive(directionNorm));
  const none = tf.sub(1, both);
  const ratio = tf.div(tf.mul(paramNorm, trustCoefficient), tf.add(directionNorm, none));
  return tf.mul(direction, tf.add(tf.mul(ratio, both), none));
}

function isPositive(x: tf.Tensor): tf.Tensor {
  return tf.cast(tf.greater(x, 0), "float32");
}
