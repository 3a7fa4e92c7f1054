import { engine, type TensorContainer, tidy } from "@tensorflow/tfjs-core";

/**
 * Runs `fn` outside the surrounding gradient: what it returns is a constant there (PyTorch's `detach`, JAX's
 * `stop_gradient`). `fn` may take gradients of its own, as an attack inside a training loss does.
 *
 * @returns what `fn` returns; the caller disposes of it
 * @example
 * ```ts
 * const { gradients } = valueAndGradients(({ x }) => {
 *   const frozen = withoutGradient(() => tf.square(x!));
 *   return { loss: tf.sum(tf.mul(frozen, x!)) };
 * }, { x: tf.tensor1d([3]) }); // gradients.x [9], not 27
 * ```
 */
export function withoutGradient<T extends TensorContainer>(fn: () => T): T {
  const { state } = engine();
  const { activeTape, gradientDepth } = state;
  state.gradientDepth = 0;
  try {
    return tidy(fn);
  } finally {
    state.activeTape = activeTape;
    state.gradientDepth = gradientDepth;
  }
}
