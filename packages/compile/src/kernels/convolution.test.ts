import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { conv2d } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../index.ts";
import { expectEager } from "../testing/expect-eager.ts";
import { draws } from "../testing/sweep.ts";
import { findCCompiler } from "./c-compiler.ts";

const compiler = await findCCompiler();
const random = draws(11, "convolution");

beforeAll(() => tf.setBackend("cpu"));

interface Case {
  x: [number, number, number, number];
  filter: [number, number, number, number];
  strides?: number | [number, number];
  /** The eager backend sums up 6,300 pixels one by one. */
  tolerance?: number;
  pad?: "same" | "valid" | [[0, 0], [number, number], [number, number], [0, 0]];
}

/** Strides, borders, windows, edges of tiles and of panels: 16 channels, one more, fewer, several panels. */
const cases: Case[] = [
  { x: [3, 28, 28, 1], filter: [5, 5, 1, 20], pad: "valid" },
  { x: [2, 12, 12, 20], filter: [5, 5, 20, 50], pad: "valid" },
  { x: [20, 9, 11, 3], filter: [3, 3, 3, 16], pad: "same" },
  { x: [2, 8, 8, 16], filter: [3, 3, 16, 17], pad: "same", strides: 2 },
  { x: [2, 7, 7, 5], filter: [3, 3, 5, 33], pad: "same", strides: 2 },
  { x: [2, 7, 8, 4], filter: [1, 1, 4, 8], pad: "valid", strides: 2 },
  { x: [2, 8, 10, 4], filter: [3, 2, 4, 6], pad: "valid", strides: [3, 2] },
  {
    x: [1, 15, 15, 3],
    filter: [7, 7, 3, 4],
    strides: 2,
    pad: [
      [0, 0],
      [3, 3],
      [3, 3],
      [0, 0],
    ],
  },
  {
    x: [2, 6, 5, 2],
    filter: [3, 3, 2, 1],
    pad: [
      [0, 0],
      [0, 2],
      [2, 1],
      [0, 0],
    ],
  },
  {
    x: [2, 2, 2, 3],
    filter: [3, 3, 3, 4],
    strides: 5,
    pad: [
      [0, 0],
      [5, 0],
      [5, 0],
      [0, 0],
    ],
  },
  { x: [2, 4, 4, 40], filter: [1, 1, 40, 48], pad: "valid" },
  { x: [2, 3, 3, 6], filter: [3, 3, 6, 70], pad: "valid" },
  { x: [1, 90, 70, 20], filter: [3, 3, 20, 2], pad: "same", tolerance: 3e-4 },
];

const convolve =
  ({ strides = 1, pad = "valid" }: Case) =>
  ({ x, filter, dy }: Tensors) => {
    const { aux, gradients } = valueAndGradients(
      (t) => {
        const y = tf.conv2d(t.x as tf.Tensor4D, t.filter as tf.Tensor4D, strides, pad as "same");
        return { loss: tf.sum(tf.mul(y, dy!)), aux: { y } };
      },
      { x: x!, filter: filter! },
    );
    return { ...aux, ...gradients } as Tensors;
  };

function inputsOf(form: Case) {
  const { x, filter, strides = 1, pad = "valid" } = form;
  const shape = tf.tidy(
    () =>
      tf.conv2d(tf.zeros(x) as tf.Tensor4D, tf.zeros(filter) as tf.Tensor4D, strides, pad as "same")
        .shape,
  );
  return { x: random.floats(x), filter: random.floats(filter), dy: random.floats(shape) };
}

describe.skipIf(!compiler)("convolutions as kernels", () => {
  it.each(cases)("$x, filter $filter: result and gradients of the eager backend", async (form) => {
    const kernels = await expectEager(convolve(form), inputsOf(form), {
      kernels: "generated",
      tolerance: form.tolerance ?? 3e-5,
    });
    expect(kernels).toBeGreaterThanOrEqual(5); // two orders of weights, the result, two gradients
  });

  it("leaves other layouts, dilations and depthwise windows to ONNX Runtime", async () => {
    const inputs = { x: random.floats([2, 6, 6, 3]), w: random.floats([3, 3, 3, 4]) };
    const kernels = await expectEager(
      ({ x, w }) => {
        const [image, filter] = [x as tf.Tensor4D, w as tf.Tensor4D];
        return {
          dilated: tf.relu(tf.conv2d(image, filter, 1, "same", "NHWC", 2)),
          depthwise: tf.depthwiseConv2d(image, filter, 1, "same"),
          plain: tf.conv2d(image, filter, 1, "same"),
        };
      },
      inputs,
      { kernels: "generated" },
    );
    expect(kernels).toBe(2);
  });

  it("gives the same bits on 1, 2 and 3 threads", async () => {
    for (const form of [cases[1]!, cases[3]!]) {
      const inputs = inputsOf(form);
      const specs = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape }]) => [name, { shape }]),
      );
      const results = [];
      for (const threads of [1, 2, 3]) {
        const program = await compile(convolve(form), specs, { kernels: "generated", threads });
        results.push(await program(inputs));
        program.dispose();
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    }
  });

  const net = ({ x, w, v, dense }: Tensors) => {
    const pooled = (from: tf.Tensor, filter: tf.Tensor) =>
      tf.maxPool(tf.relu(conv2d(from, filter)) as tf.Tensor4D, 2, 2, "valid");
    const flat = tf.reshape(pooled(pooled(x!, w!), v!), [x!.shape[0]!, -1]);
    return { logits: tf.matMul(flat, dense!) };
  };
  const weights = (first: number, second: number, classes: number) => ({
    w: random.floats([first, 1, 5, 5]),
    v: random.floats([second, first, 5, 5]),
    dense: random.floats([16 * second, classes]),
  });

  it("serve a function where ONNX Runtime would pad its channels to blocks", async () => {
    const kernelsOf = async (first: number, second: number) => {
      const program = await compile({
        fn: net,
        specs: { x: [64, 28, 28, 1] },
        constants: weights(first, second, 10),
      });
      program.dispose();
      return program.statistics.kernels;
    };
    expect(await kernelsOf(20, 50)).toBeGreaterThanOrEqual(4); // LeNet's channels
    expect(await kernelsOf(16, 48)).toBe(0);
  });

  it("give a row the same bits in every place of a batch", async () => {
    const constants = weights(20, 50, 500);
    const [rows, pixels] = [67, 784]; // rows: more than a tile of products, and a part of one
    const x = random.floats([rows, 28, 28, 1]).data;
    const specs = { x: [rows, 28, 28, 1] };
    const program = await compile({ fn: net, specs, constants }, { kernels: "generated" });
    /** Logits of the rows, each moved on by `by` places. */
    const logitsOf = async (by: number) => {
      const cut = pixels * (rows - by);
      const moved = Float32Array.from([...x.subarray(cut), ...x.subarray(0, cut)]);
      const { data } = (await program({ x: moved })).logits!;
      const logits = [...(data as Float32Array)];
      return [...logits.slice(500 * by), ...logits.slice(0, 500 * by)];
    };
    const whole = await logitsOf(0);
    for (const by of [1, 5, 33]) expect(await logitsOf(by)).toEqual(whole);
    program.dispose();
  });

  it.each([
    [[2, 6, 6, 20], 2, 2, "valid"],
    [[2, 7, 9, 3], 3, 2, "same"],
    [[2, 7, 7, 5], 3, 1, "same"],
    [[3, 8, 8, 4], 2, 3, "valid"],
  ] as const)(
    "max pooling of %j, size %d, stride %d, %s, with several maxima",
    async (shape, size, stride, pad) => {
      const x = random.floats([...shape]);
      x.data.forEach((value, i) => {
        x.data[i] = Math.round(2 * value) / 2;
      });
      await expectEager(
        ({ x }) => {
          const { aux, gradients } = valueAndGradients(
            (t) => {
              const y = tf.maxPool(tf.relu(t.x!) as tf.Tensor4D, size, stride, pad);
              return { loss: tf.sum(tf.mul(y, tf.add(y, 1))), aux: { y } };
            },
            { x: x! },
          );
          return { ...aux, ...gradients } as Tensors;
        },
        { x },
        { kernels: "generated" },
      );
    },
  );

  it("joins bias, ReLU and their gradients around convolutions", async () => {
    const inputs = {
      x: random.floats([4, 10, 10, 3]),
      w: random.floats([8, 3, 3, 3]),
      b: random.floats([8]),
      v: random.floats([6, 8, 3, 3]),
    };
    await expectEager(
      ({ x, w, b, v }) => {
        const { loss, gradients } = valueAndGradients(
          (t) => {
            const hidden = tf.relu(conv2d(t.x!, t.w!, { bias: t.b, padding: 1 }));
            const y = tf.relu(conv2d(hidden, t.v!, { stride: 2 }));
            return { loss: tf.mean(tf.square(y)) };
          },
          { x: x!, w: w!, b: b!, v: v! },
        );
        return { loss, ...gradients } as Tensors;
      },
      inputs,
      { kernels: "generated", tolerance: 3e-5 },
    );
  });
});
