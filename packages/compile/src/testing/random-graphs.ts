import type { HostTensor } from "@dmae/core";
import type { Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { draws } from "./sweep.ts";

/** A random function of what kernels can join. */
export interface RandomGraph {
  readonly fn: (inputs: Tensors) => Tensors;
  readonly inputs: Readonly<Record<string, HostTensor>>;
}

const tame = (x: tf.Tensor) => tf.clipByValue(x, -3, 3);
const positive = (x: tf.Tensor) => tf.add(tf.abs(tame(x)), 0.2);

type Maker = (a: tf.Tensor, b: tf.Tensor, shape: [number, number]) => tf.Tensor;
const whole = (x: tf.Tensor, shape: [number, number]) => tf.add(tf.zeros(shape), tame(x));

/** What a kernel can join, of operands that lie in a matrix in any way. */
const makers: Maker[] = [
  (a) => tf.exp(tame(a)),
  (a) => tf.sigmoid(a),
  (a) => tf.erf(tame(a)),
  (a) => tf.sqrt(positive(a)),
  (a) => tf.neg(tf.relu(a)),
  (a, b) => tf.add(tame(a), tame(b)),
  (a, b) => tf.sub(tame(a), tame(b)),
  (a, b) => tf.mul(tame(a), tame(b)),
  (a, b) => tf.div(tame(a), positive(b)),
  (a, b) => tf.maximum(a, tame(b)),
  (a, _, shape) => tf.sub(tf.ones(shape), a),
  (a, _, shape) => tf.mul(tf.fill(shape, 0.5), a),
  (a, _, shape) => tf.sum(whole(a, shape), 1, true),
  (a, _, shape) => tf.mean(whole(a, shape), 1, true),
  (a, _, shape) => tf.max(whole(a, shape), 1, true),
  (a, _, shape) => tf.softmax(whole(a, shape)),
];

/** So many random graphs over matrices of a shape. */
export function randomGraphs(seed: number, count: number, shape: [number, number]): RandomGraph[] {
  const d = draws(seed, "graphs");
  const [rows, columns] = shape;
  const shapes = { full: shape, column: [rows, 1], row: [columns], scalar: [] };
  return Array.from({ length: count }, () => {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([name, each]) => [name, d.floats(each, -1, 1)]),
    );
    const picks = Array.from({ length: 45 }, () => [0, 0, 0].map(() => d.integer(0, 9999)));
    const fn = (given: Tensors) => {
      const values = Object.values(given);
      const results: Tensors = {};
      picks.forEach(([maker, a, b], i) => {
        const at = (n: number) => values[n % values.length]!;
        const value = makers[maker! % makers.length]!(at(a!), at(b!), shape);
        values.push(value);
        if (i % 3 === 0) results[`value ${i}`] = value;
        if (i % 11 === 0) results[`sum ${i}`] = tf.sum(tf.exp(whole(value, shape)), 0);
      });
      return results;
    };
    return { fn, inputs };
  });
}
