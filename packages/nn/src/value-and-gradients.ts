import "#gradients";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Params, Tensors } from "./params.ts";

/** What the function given to {@link valueAndGradients} returns. */
export interface LossAndAux {
  /** The scalar to differentiate. */
  loss: tf.Tensor;
  /** Further tensors to keep (logits, parts of the loss); they carry no gradient. */
  aux?: Tensors;
}

/** What {@link valueAndGradients} returns; the caller disposes of all of it. */
export interface ValueAndGradients {
  /** The loss, a scalar. */
  loss: tf.Scalar;
  /** The tensors that the function returned as `aux`. */
  aux: Tensors;
  /** d loss / d parameter, one for each parameter. */
  gradients: Tensors;
}

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
  let aux: Tensors = {};
  const { value, grads } = tf.tidy(() =>
    tf.engine().gradients(
      () => {
        const result = fn(params);
        if (result.loss.rank !== 0)
          throw new DmaeError(
            "shape",
            `valueAndGradients: loss must be a scalar, got shape [${result.loss.shape}]`,
          );
        aux = mapTensors(result.aux ?? {}, (tensor) => tf.keep(tf.clone(tensor)));
        return result.loss;
      },
      names.map((name) => params[name]!),
      undefined,
      true,
    ),
  );
  const kept = aux;
  aux = mapTensors(kept, (tensor) => tf.clone(tensor)); // hand over to the caller's scope
  for (const tensor of Object.values(kept)) tensor.dispose();
  const missing = names.filter((_, i) => grads[i] == null);
  if (missing.length > 0)
    throw new DmaeError(
      "argument",
      `valueAndGradients: the loss does not depend on ${missing.join(", ")}; leave them out of params`,
      { missing },
    );
  return {
    loss: value as tf.Scalar,
    aux,
    gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])),
  };
}

const mapTensors = (tensors: Tensors, fn: (tensor: tf.Tensor) => tf.Tensor): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, fn(tensor)]));
