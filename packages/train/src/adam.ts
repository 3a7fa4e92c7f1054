import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import { type AdamWOptions, adamw } from "./adamw.ts";
import { type Optimizer, requireDecay } from "./optimizer.ts";

/** Options of {@link adam}. */
export interface AdamOptions extends Omit<AdamWOptions, "groups"> {
  /** Added to the gradient, times the parameter (not decoupled); default 0. */
  readonly weightDecay?: number | undefined;
}

/**
 * Adam (arXiv:1412.6980) with l2 regularisation, as `torch.optim.Adam`: the update of {@link adamw} without decay, from the
 * gradient `g + wd p`. Denoised smoothing trains its denoisers with it.
 *
 * State: `exp_avg.<name>` and `exp_avg_sq.<name>`.
 *
 * @throws DmaeError "argument" for an option outside its range
 */
export function adam(options: AdamOptions = {}): Optimizer {
  checkOptions("adam", options, { beta1: true, beta2: true, epsilon: true, weightDecay: true });
  const { weightDecay = 0, ...rest } = options;
  requireDecay("adam", weightDecay, undefined);
  const plain = adamw({ ...rest, weightDecay: 0 });
  if (weightDecay === 0) return plain;
  return {
    ...plain,
    update(gradients, state, params, scalars) {
      const decayed = Object.fromEntries(
        Object.entries(gradients).map(([name, gradient]) => [
          name,
          tf.add(gradient, tf.mul(params[name]!, weightDecay)),
        ]),
      );
      return plain.update(decayed, state, params, scalars);
    },
  };
}
