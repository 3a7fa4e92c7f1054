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

/** Options of {@link sgd}. */
export interface SgdOptions {
  /** Momentum; default 0. */
  readonly momentum?: number | undefined;
  /** Looks ahead by one momentum step; default false. */
  readonly nesterov?: boolean | undefined;
  /** Weight decay, added to the gradient, of every parameter where `groups` is left out; default 0. */
  readonly weightDecay?: number | undefined;
  /** Learning-rate scale and weight decay by parameter. */
  readonly groups?: ParameterGroups | undefined;
}

/**
 * Gradient descent with momentum, as `torch.optim.SGD` without dampening: `d = g + wd p`,
 * `u = momentum u + d`, `p = p - lr u` (nesterov: `p = p - lr (d + momentum u)`).
 *
 * State: `momentum_buffer.<name>`.
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions("sgd", options, {
    momentum: true,
    nesterov: true,
    weightDecay: true,
    groups: true,
  });
  const { momentum = 0, nesterov = false, weightDecay = 0, groups } = options;
  requireRange("sgd: momentum", momentum, 0, 1);
  requireDecay("sgd", weightDecay, groups);
  return {
    init: (params) => zeroSlots(params, ["momentum_buffer"]),
    update: updateEach({ groups, weightDecay }, (param, gradient, slot, scalars, settings) => {
      const direction =
        settings.weightDecay === 0
          ? gradient
          : tf.add(gradient, tf.mul(param, settings.weightDecay));
      const buffer = tf.add(
        tf.mul(slot("momentum_buffer"), scalars.keep!),
        tf.mul(direction, scalars.add!),
      );
      const move = nesterov ? tf.add(direction, tf.mul(buffer, momentum)) : buffer;
      const rate = tf.mul(scalars.learningRate!, settings.learningRateScale);
      return { param: tf.sub(param, tf.mul(move, rate)), slots: { momentum_buffer: buffer } };
    }),
    scalars: (_step, learningRate) => ({ learningRate, keep: momentum, add: 1 }),
    idle: () => ({ learningRate: 0, keep: 1, add: 0 }),
  };
}
