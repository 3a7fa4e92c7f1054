import { withoutGradient } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

// Coefficients of Giles, "Approximating the erfinv function" (GPU Computing Gems, 2010), single precision, highest power first.
const CENTRAL = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503,
  -0.00417768164, 0.246640727, 1.50140941,
];
const TAIL = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
  0.00943887047, 1.00167406, 2.83297682,
];

const polynomial = (w: tf.Tensor, coefficients: readonly number[]): tf.Tensor =>
  coefficients
    .slice(1)
    .reduce<tf.Tensor>(
      (sum, c) => tf.add(tf.mul(sum, w), c),
      tf.mul(tf.onesLike(w), coefficients[0]!),
    );

/** erfinv for |x| < 1, to a few units in the last place of float32. */
function erfinv(x: tf.Tensor): tf.Tensor {
  const w = tf.neg(tf.log(tf.mul(tf.sub(1, x), tf.add(1, x))));
  const central = polynomial(tf.sub(w, 2.5), CENTRAL);
  const tail = polynomial(tf.sub(tf.sqrt(tf.maximum(w, 0)), 3), TAIL);
  return tf.mul(x, tf.where(tf.less(w, 5), central, tail));
}

/**
 * The inverse of the standard normal distribution function, `sqrt(2) erfinv(2p - 1)`, elementwise. `2p - 1` is rounded to
 * float32 as in PyTorch: within 6e-8 of 0 or 1 there is no finite value, and `finite` is 0 there.
 *
 * @param p probabilities in [0, 1]
 * @returns `value` (0 if it is not finite), with the gradient `sqrt(2 pi) exp(value^2 / 2)`; and `finite`, 1 or 0
 */
export function inverseNormal(p: tf.Tensor): { value: tf.Tensor; finite: tf.Tensor } {
  const x = tf.sub(tf.mul(p, 2), 1);
  const inside = withoutGradient(() => tf.less(tf.abs(x), 1));
  return {
    value: quantile(tf.where(inside, x, tf.zerosLike(x))),
    finite: tf.cast(inside, "float32"),
  };
}

/** `sqrt(2) erfinv(x)`, with its derivative `sqrt(pi / 2) exp(erfinv(x)^2)`. */
const quantile = (x: tf.Tensor): tf.Tensor =>
  tf.customGrad((...args: unknown[]) => {
    const [x, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const y = erfinv(x);
    save([y]);
    return {
      value: tf.mul(y, Math.SQRT2),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        tf.mul(dy, tf.mul(tf.exp(tf.square(saved[0]!)), Math.sqrt(Math.PI / 2))),
    };
  })(x);
