import "@tensorflow/tfjs-backend-cpu";
import type { Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { expectEager } from "../testing/expect-eager.ts";
import { draws } from "../testing/sweep.ts";
import { findCCompiler } from "./c-compiler.ts";

const compiler = await findCCompiler();
const [ROWS, COLUMNS] = [6, 10];

const tame = (x: tf.Tensor) => tf.clipByValue(x, -3, 3);
const positive = (x: tf.Tensor) => tf.add(tf.abs(tame(x)), 0.2);
const whole = (x: tf.Tensor) => tf.add(tf.zeros([ROWS, COLUMNS]), tame(x));

/** What a kernel can join, of operands that lie in a matrix in any way. */
const makers: ((a: tf.Tensor, b: tf.Tensor) => tf.Tensor)[] = [
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
  (a) => tf.sub(tf.ones([ROWS, COLUMNS]), a),
  (a) => tf.mul(tf.fill([ROWS, COLUMNS], 0.5), a),
  (a) => tf.sum(whole(a), 1, true),
  (a) => tf.mean(whole(a), 1, true),
  (a) => tf.max(whole(a), 1, true),
  (a) => tf.softmax(whole(a)),
];

it.skipIf(!compiler)(
  "random graphs of what kernels join give the eager backend's numbers",
  async () => {
    await tf.setBackend("cpu");
    const d = draws(11, "graphs");
    const shapes = { full: [ROWS, COLUMNS], column: [ROWS, 1], row: [COLUMNS], scalar: [] };
    const entries = Object.entries(shapes) as [string, number[]][];
    for (let graph = 0; graph < 5; graph++) {
      const inputs = Object.fromEntries(
        entries.map(([name, shape]) => [name, d.floats(shape, -1, 1)]),
      );
      const picks = Array.from({ length: 45 }, () => [0, 0, 0].map(() => d.integer(0, 9999)));
      const fn = (given: Tensors) => {
        const values = Object.values(given);
        const results: Tensors = {};
        picks.forEach(([maker, a, b], i) => {
          const at = (n: number) => values[n % values.length]!;
          const value = makers[maker! % makers.length]!(at(a!), at(b!));
          values.push(value);
          if (i % 3 === 0) results[`value ${i}`] = value;
          if (i % 11 === 0) results[`sum ${i}`] = tf.sum(whole(value), 0);
        });
        return results;
      };
      const kernels = await expectEager(fn, inputs, { kernels: "generated", tolerance: 1e-4 });
      expect(kernels).toBeGreaterThan(0);
    }
  },
);
