import * as tf from "@tensorflow/tfjs-core";

/**
 * Binomial(trials, probability) by inversion of a uniform draw: the number of k below `trials` with P(X <= k) <= u. Exact at
 * probability 0 and 1, elsewhere to float32 rounding of the distribution function.
 *
 * @param uniform `[B]` in [0, 1)
 * @param trials a positive integer, small: the graph grows with it
 * @param probability `[B]` in [0, 1]
 * @returns `[B]` float32, whole numbers
 */
export function binomial(uniform: tf.Tensor, trials: number, probability: tf.Tensor): tf.Tensor {
  const success = powers(probability, trials);
  const failure = powers(tf.sub(1, probability), trials);
  let cumulative: tf.Tensor = tf.zerosLike(probability);
  let count: tf.Tensor = tf.zerosLike(probability);
  let choose = 1;
  for (let k = 0; k < trials; k++) {
    const mass = tf.mul(tf.mul(success[k]!, failure[trials - k]!), choose);
    cumulative = tf.add(cumulative, mass);
    count = tf.add(count, tf.cast(tf.greaterEqual(uniform, cumulative), "float32"));
    choose = (choose * (trials - k)) / (k + 1);
  }
  return count;
}

/** x^0 … x^highest. */
function powers(x: tf.Tensor, highest: number): tf.Tensor[] {
  const list: tf.Tensor[] = [tf.onesLike(x)];
  for (let i = 1; i <= highest; i++) list.push(tf.mul(list[i - 1]!, x));
  return list;
}
