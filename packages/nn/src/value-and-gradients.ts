import "#gradients";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { backpropagate, record, release } from "./backpropagate.ts";
import { completeGradientKernels } from "./gradient-kernels.ts";
import { seedOf, unscaled } from "./loss-scale.ts";
import type { Params, Tensors } from "./params.ts";

/** What the function given to {@link valueAndGradients} returns. */
export interface LossAndAux {
  /** The scalar to differentiate. */
  loss: tf.Tensor;
  /** Further tensors to keep (logits, parts of the loss); they carry no gradient. */
  aux?: Tensors;
}

/** What {@link valueAndGradients} returns; the caller disposes of all of it, or a tidy around the call. */
export type ValueAndGradients = {
  /** The loss, a scalar. */
  loss: tf.Scalar;
  /** The tensors that the function returned as `aux`. */
  aux: Tensors;
  /** d loss / d parameter, one for each parameter. */
  gradients: Tensors;
};

/**
 * A scalar function of parameters, its value and its gradients.
 *
 * @param fn pure; reads `params` and whatever it closes over
 * @param params every one must take part in the loss: leave frozen parameters out and close over them
 * @throws DmaeError "argument" naming the parameters that do not reach the loss, "shape" for a loss
 * that is not a scalar
 * @example
 * ```ts
 * const { loss, gradients } = valueAndGradients(
 *   ({ w }) => ({ loss: tf.sum(tf.square(w!)) }),
 *   { w: tf.tensor1d([1, 2]) },
 * ); // loss 5, gradients.w [2, 4]
 * ```
 */
export function valueAndGradients(
  fn: (params: Params) => LossAndAux,
  params: Params,
): ValueAndGradients {
  const names = Object.keys(params);
  completeGradientKernels();
  return tf.tidy(() => {
    const { value, tape } = record(() => tf.tidy(() => evaluate(fn, params)));
    try {
      const xs = names.map((name) => params[name]!);
      const gradients = backpropagate(tape, xs, value.loss, seedOf(value.loss));
      const missing = names.filter((_, i) => gradients[i] === undefined);
      if (missing.length > 0)
        throw new DmaeError(
          "argument",
          `valueAndGradients: the loss does not depend on ${missing.join(", ")}; leave them out of params`,
          { missing },
        );
      const entries = names.map((name, i) => [name, unscaled(gradients[i]!)] as const);
      return { ...value, gradients: Object.fromEntries(entries) };
    } catch (error) {
      release(tape);
      throw error;
    }
  });
}

/** Loss and aux, each a tensor of its own: `fn` may hand back a parameter, or one tensor twice. */
function evaluate(fn: (params: Params) => LossAndAux, params: Params) {
  const { loss, aux = {} } = fn(params);
  if (loss.rank !== 0)
    throw new DmaeError(
      "shape",
      `valueAndGradients: loss must be a scalar, got shape [${loss.shape}]`,
    );
  const copies = Object.entries(aux).map(([name, tensor]) => [name, tf.clone(tensor)] as const);
  return { loss: tf.clone(loss) as tf.Scalar, aux: Object.fromEntries(copies) as Tensors };
}
