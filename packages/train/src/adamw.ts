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

/** Options of {@link adamw}. */
export interface AdamWOptions {
  /** Decay of the first moment; default 0.9. */
  readonly beta1?: number | undefined;
  /** Decay of the second moment; default 0.999 (DMAE pre-trains with 0.95). */
  readonly beta2?: number | undefined;
  /** Added to the root of the second moment; default 1e-8. */
  readonly epsilon?: number | undefined;
  /** Weight decay of every parameter, where `groups` is left out; default 0.01. */
  readonly weightDecay?: number | undefined;
  /** Learning-rate scale and weight decay by parameter. */
  readonly groups?: ParameterGroups | undefined;
}

/**
 * Adam with decoupled weight decay (arXiv:1711.05101), as `torch.optim.AdamW`:
 *
 * `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
 * `p = p (1 - lr wd) - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)`.
 *
 * State: `exp_avg.<name>` and `exp_avg_sq.<name>`, the names of PyTorch's optimizer state.
 *
 * @example
 * const optimizer = adamw({ beta2: 0.95, groups: decayGroups(params, { weightDecay: 0.05 }) });
 * const state = optimizer.init(params);
 */
export function adamw(options: AdamWOptions = {}): Optimizer {
  checkOptions("adamw", options, {
    beta1: true,
    beta2: true,
    epsilon: true,
    weightDecay: true,
    groups: true,
  });
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01, groups } = options;
  requireRange("adamw: beta1", beta1, 0, 1);
  requireRange("adamw: beta2", beta2, 0, 1);
  requireRange("adamw: epsilon", epsilon, 0, Number.POSITIVE_INFINITY);
  requireDecay("adamw", weightDecay, groups);
  return {
    init: (params) => zeroSlots(params, ["exp_avg", "exp_avg_sq"]),
    update: updateEach({ groups, weightDecay }, (param, gradient, slot, scalars, settings) => {
      const first = blend(slot("exp_avg"), gradient, scalars.keep1!, scalars.add1!);
      const second = blend(slot("exp_avg_sq"), tf.square(gradient), scalars.keep2!, scalars.add2!);
      const change = tf.mul(
        tf.div(first, tf.add(tf.sqrt(second), scalars.epsilon!)),
        tf.mul(scalars.stepSize!, settings.learningRateScale),
      );
      return {
        param: tf.sub(decayed(param, settings, scalars.learningRate!), change),
        slots: { exp_avg: first, exp_avg_sq: second },
      };
    }),
    scalars(step, learningRate) {
      const t = step + 1;
      const root = Math.sqrt(1 - beta2 ** t); // taken out of the fraction: one pass over the parameters less
      return {
        learningRate,
        stepSize: (learningRate * root) / (1 - beta1 ** t),
        epsilon: epsilon * root,
        keep1: beta1,
        add1: 1 - beta1,
        keep2: beta2,
        add2: 1 - beta2,
      };
    },
    idle: () => ({
      learningRate: 0,
      stepSize: 0,
      epsilon: 1,
      keep1: 1,
      add1: 0,
      keep2: 1,
      add2: 0,
    }),
  };
}

function blend(old: tf.Tensor, value: tf.Tensor, keep: tf.Tensor, add: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(old, keep), tf.mul(value, add));
}

function decayed(
  param: tf.Tensor,
  { weightDecay, learningRateScale }: { weightDecay: number; learningRateScale: number },
  learningRate: tf.Tensor,
): tf.Tensor {
  if (weightDecay === 0) return param;
  return tf.mul(param, tf.sub(1, tf.mul(learningRate, learningRateScale * weightDecay)));
}
