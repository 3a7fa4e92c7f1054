import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, it } from "vitest";
import { expectEager as expectAsEager } from "../testing/expect-eager.ts";
import { draws } from "../testing/sweep.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const d = draws(5, "reshapes");

const expectEager = (fn: (inputs: Tensors) => Tensors, shapes: Record<string, number[]>) => {
  const named = Object.entries(shapes);
  return expectAsEager(
    fn,
    Object.fromEntries(named.map(([name, shape]) => [name, d.floats(shape, -1, 1)])),
  );
};

describe("elementwise operations around reshapes", () => {
  it("work where axes of length 1 come and go", async () => {
    await expectEager(
      ({ a, b, x, w }) => ({
        squeezed: tf.add(tf.squeeze(a!), b!),
        expanded: tf.mul(a!, tf.expandDims(b!, 0)),
        both: tf.maximum(tf.expandDims(b!, 0), tf.expandDims(tf.squeeze(a!), 0)),
        bias: tf.add(tf.matMul(x!, w!), tf.expandDims(b!, 0)),
        product: tf.sub(tf.squeeze(tf.matMul(x!, w!)), b!),
        average: tf.add(
          tf.mul(b!, 0.9),
          tf.squeeze(tf.mean(tf.reshape(w!, [2, 1, 3, 4]), [0, 1, 2], true)),
        ),
        deep: tf.div(tf.reshape(a!, [1, 1, 1, 4]), tf.add(tf.square(b!), 1)),
      }),
      { a: [1, 4], b: [4], x: [1, 6], w: [6, 4] },
    );
  });

  it("work in log-sum-exp over leading axes, gradients included", async () => {
    const sum = ({ x, y }: Tensors) =>
      tf.add(tf.sum(tf.logSumExp(x!, 0)), tf.sum(tf.logSumExp(y!, [0, 1])));
    await expectEager(
      ({ x, y }) => {
        const given = { x: x!, y: y! };
        const { gradients } = valueAndGradients((inputs) => ({ loss: sum(inputs) }), given);
        return { ...gradients, first: tf.logSumExp(x!, 0), both: tf.logSumExp(y!, [0, 1]) };
      },
      { x: [6, 3], y: [2, 3, 4] },
    );
  });

  it("work in random chains", async () => {
    const forms = [[12], [1, 12], [3, 4], [3, 1, 4], [1, 3, 4], [12, 1], [2, 6], [2, 3, 2]];
    const operations = [tf.add, tf.sub, tf.mul, tf.maximum];
    for (let chain = 0; chain < 30; chain++) {
      const picks = Array.from({ length: 12 }, () => d.integer(0, 9999));
      await expectEager(
        (given) => {
          const values = Object.values(given);
          for (const pick of picks) {
            const a = values[pick % values.length]!;
            const b = values[(pick >> 3) % values.length]!;
            const form = forms[(pick >> 5) % forms.length]!;
            const operation = operations[(pick >> 7) % operations.length]!;
            const other = pick % 3 === 0 ? tf.reshape(b, a.shape) : tf.sum(b);
            values.push(tf.reshape(operation(a, other), form));
          }
          return Object.fromEntries(values.slice(3).map((value, i) => [`y${i}`, value]));
        },
        { a: [12], b: [3, 4], c: [1, 12] },
      );
    }
  });
});
