import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { StepFunction, Tensors } from "@dmae/nn";
import { withLossScale } from "@dmae/nn/executors";
import * as tf from "@tensorflow/tfjs-core";

/** The name that the scale and the count of good steps have among a step's state. */
export const SCALING = "loss scaling";

/** The scale of the first step; halved after each overflow, doubled after so many steps without one. */
const FIRST_SCALE = 2 ** 16;
const GROWTH_INTERVAL = 1000;
const SMALLEST = 1;
const LARGEST = 2 ** 24;

/** The state of a step whose losses are scaled: the caller's, and the scaling, which goes on from `scaling` if that is given. */
export function withScaling(
  caller: string,
  state: HostTensors,
  scaling: readonly number[] = [FIRST_SCALE, 0],
): Record<string, HostTensor> {
  if (Object.hasOwn(state, SCALING))
    throw new DmaeError("argument", `${caller}: the name "${SCALING}" is taken, in state`);
  const [scale, good] = Array.isArray(scaling) ? scaling : [];
  if (!(Number.isInteger(Math.log2(scale)) && scale >= SMALLEST && scale <= LARGEST && good >= 0))
    throw new DmaeError(
      "argument",
      `${caller}: scaling must be what scaling() of a step gave, a power of two from ${SMALLEST} to ${LARGEST} and a count, got ${JSON.stringify(scaling)}`,
    );
  const data = Float32Array.of(scale, good);
  return { ...state, [SCALING]: { dtype: "float32", shape: [2], data } };
}

/** A state without the scaling. */
export function withoutScaling<T>(state: Readonly<Record<string, T>>): Record<string, T> {
  const { [SCALING]: _, ...rest } = state as Record<string, T>;
  return rest;
}

/**
 * Refuses to go on where gradients overflow however small the scale is: every later step would be skipped, too.
 *
 * @throws DmaeError "numeric"; the state is that of the last step that was not skipped
 */
export function refuseStall(metrics: Readonly<Record<string, number>>): void {
  if (metrics.skipped === 1 && metrics.lossScale === SMALLEST)
    throw new DmaeError(
      "numeric",
      "call: gradients must fit into float16, got overflow at loss scale 1; lower the learning rate, or use precision bfloat16",
      metrics,
    );
}

/**
 * A step for float16: it scales the loss, and where a gradient is not finite it leaves the state as it was. Its metrics say so:
 * `lossScale` is the scale that it used, `skipped` is 1 for such a step.
 */
export function scaledStep(step: StepFunction): StepFunction {
  return (inputs, batch) => {
    const scaling = inputs[SCALING]!;
    const scale = tf.reshape(tf.slice(scaling, [0], [1]), []) as tf.Scalar;
    const good = tf.reshape(tf.slice(scaling, [1], [1]), []);
    const before = withoutScaling(inputs) as Tensors;
    const { value, finite } = withLossScale(scale, () => step(before, batch));
    const state = Object.fromEntries(
      Object.entries(value.state).map(([name, next]) => [
        name,
        tf.where(finite, next, before[name]!),
      ]),
    );
    const skipped = tf.sub(1, tf.cast(finite, "float32"));
    const metrics = { ...value.metrics, lossScale: scale, skipped };
    return { state: { ...state, [SCALING]: nextScaling(scale, good, finite) }, metrics };
  };
}

function nextScaling(scale: tf.Scalar, good: tf.Tensor, finite: tf.Scalar): tf.Tensor {
  const counted = tf.add(good, 1);
  const grows = tf.greaterEqual(counted, GROWTH_INTERVAL);
  const grown = tf.minimum(tf.where(grows, tf.mul(scale, 2), scale), LARGEST);
  const next = tf.where(finite, grown, tf.maximum(tf.mul(scale, 0.5), SMALLEST));
  const count = tf.where(tf.logicalAnd(finite, tf.logicalNot(grows)), counted, tf.zerosLike(good));
  return tf.stack([next, count]);
}
