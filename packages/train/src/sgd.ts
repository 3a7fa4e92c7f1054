import { checkOptions } from "@dmae/core/checks";
import type { Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import {
  type Optimizer,
  type ParameterGroups,
  parameterOptions,
  requireDecay,
  requireRange,
  zeroSlots,
} from "./optimizer.ts";

/** Options of {@link sgd}. */
export interface SgdOptions {
  /** Momentum; default 0. */
  readonly momentum?: number;
  /** Looks ahead by one momentum step; default false. */
  readonly nesterov?: boolean;
  /** Weight decay, added to the gradient, of every parameter where `groups` is left out; default 0. */
  readonly weightDecay?: number;
  /** Learning-rate scale and weight decay by parameter. */
  readonly groups?: ParameterGroups;
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
    update(gradients, state, params, scalars) {
      const next: Tensors = {};
      const buffers: Tensors = {};
      for (const [name, param] of Object.entries(params)) {
        const gradient = gradients[name];
        if (gradient === undefined) {
          next[name] = param;
          continue;
        }
        const settings = parameterOptions(groups, name, weightDecay);
        const direction =
          settings.weightDecay === 0
            ? gradient
            : tf.add(gradient, tf.mul(param, settings.weightDecay));
        const buffer = tf.add(
          tf.mul(state[`momentum_buffer.${name}`]!, scalars.keep!),
          tf.mul(direction, scalars.add!),
        );
        const move = nesterov ? tf.add(direction, tf.mul(buffer, momentum)) : buffer;
        const rate = tf.mul(scalars.learningRate!, settings.learningRateScale);
        next[name] = tf.sub(param, tf.mul(move, rate));
        buffers[`momentum_buffer.${name}`] = buffer;
      }
      return { params: next, state: buffers };
    },
    scalars: (_step, learningRate) => ({ learningRate, keep: momentum, add: 1 }),
    idle: () => ({ learningRate: 0, keep: 1, add: 0 }),
  };
}
