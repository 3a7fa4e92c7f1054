import "@tensorflow/tfjs-backend-cpu";
import "@dmae/nn"; // registers the gradients
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { type Case, type Draw, draws, expectSame } from "../testing/sweep.ts";
import { trace } from "../tracing/trace.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Four = tf.Tensor4D;
type Rounding = "floor" | "round" | "ceil" | undefined;

interface Layout {
  filter: [number, number];
  strides: [number, number];
  pad: number;
  rounding: Rounding;
}

const weightedSum = (y: tf.Tensor) =>
  tf.sum(tf.mul(y, tf.reshape(tf.cos(tf.range(0, y.size, 1)), y.shape))) as tf.Scalar;

/** The result, and the gradients of a weighted sum of it. */
const withGradients = (
  inputs: Case["inputs"],
  fn: (...tensors: tf.Tensor[]) => tf.Tensor,
): Case => ({
  inputs,
  fn: (tensors) => {
    const values = Object.values(tensors);
    return [fn(...values), ...tf.grads((...v) => weightedSum(fn(...v)))(values)];
  },
});

const alone = (inputs: Case["inputs"], fn: (...tensors: tf.Tensor[]) => tf.Tensor): Case => ({
  inputs,
  fn: (tensors) => fn(...Object.values(tensors)),
});

/** Every operation with a window, and its gradients, in one layout. */
const operations = (d: Draw, { filter, strides, pad, rounding }: Layout): Case[] => {
  const x = d.floats([2, 9, 8, 3]);
  const f = d.floats([...filter, 3, 4]);
  const one = d.floats([...filter, 3, 2]);
  // TensorFlow.js's gradients leave out the rounding.
  const check = rounding === "ceil" || rounding === "round" ? alone : withGradients;
  return [
    check({ x, f }, (x, f) => tf.conv2d(x as Four, f as Four, strides, pad, "NHWC", 1, rounding)),
    check({ x, f: one }, (x, f) =>
      tf.depthwiseConv2d(x as Four, f as Four, strides, pad, "NHWC", 1, rounding),
    ),
    check({ x }, (x) => tf.maxPool(x as Four, filter, strides, pad, rounding)),
    check({ x }, (x) => tf.avgPool(x as Four, filter, strides, pad, rounding)),
  ];
};

/** Layouts of which TensorFlow.js counts the columns by the filter's height, or rounds up. */
const layouts: Record<string, Layout> = {
  "more rows than columns": { filter: [3, 2], strides: [1, 1], pad: 0, rounding: undefined },
  "more columns than rows": { filter: [2, 3], strides: [2, 2], pad: 0, rounding: undefined },
  "other strides along rows": { filter: [3, 3], strides: [2, 1], pad: 0, rounding: undefined },
  "the same, padded": { filter: [3, 3], strides: [2, 1], pad: 1, rounding: undefined },
  "rounded up": { filter: [3, 3], strides: [2, 2], pad: 0, rounding: "ceil" },
  "rounded up, padded": { filter: [4, 4], strides: [3, 3], pad: 1, rounding: "ceil" },
  "rounded to the nearest": { filter: [3, 3], strides: [3, 3], pad: 1, rounding: "round" },
  "rounded down": { filter: [3, 3], strides: [2, 2], pad: 1, rounding: "floor" },
};

describe("windows with padding in numbers", () => {
  for (const [name, layout] of Object.entries(layouts))
    it(name, async () => {
      for (const make of operations(draws(1, name), layout)) await expectSame(make);
    });

  it("two transposed convolutions that differ in what the stride leaves over", async () => {
    const d = draws(5, "left over");
    const inputs = { x: d.floats([1, 3, 3, 4]), f: d.floats([3, 3, 2, 4]) };
    const grown = (size: number) => (x: tf.Tensor, f: tf.Tensor) =>
      tf.conv2dTranspose(x as Four, f as Four, [1, size, size, 2], 2, "valid");
    await expectSame({ inputs, fn: ({ x, f }) => [grown(7)(x!, f!), grown(8)(x!, f!)] });
  });

  it("a row as filter, of which the gradient aborted the process", async () => {
    const d = draws(2, "row");
    const inputs = { x: d.floats([2, 9, 9, 3]), f: d.floats([1, 3, 3, 4]) };
    const conv = (x: tf.Tensor, f: tf.Tensor) => tf.conv2d(x as Four, f as Four, [1, 2], 0);
    await expectSame(withGradients(inputs, conv));
  });

  it("conv1d", async () => {
    for (const [stride, rounding] of [[1], [2], [2, "ceil"], [3, "round"]] as const) {
      const d = draws(3, `${stride}`);
      const inputs = { x: d.floats([2, 9, 3]), f: d.floats([3, 3, 4]) };
      const conv = (x: tf.Tensor, f: tf.Tensor) =>
        tf.conv1d(x as tf.Tensor3D, f as tf.Tensor3D, stride, 0, "NWC", 1, rounding);
      await expectSame((rounding ? alone : withGradients)(inputs, conv));
    }
  });

  it("dilated", async () => {
    const d = draws(4, "dilated");
    const inputs = { x: d.floats([1, 9, 8, 3]), f: d.floats([3, 2, 3, 4]) };
    await expectSame({
      inputs,
      fn: ({ x, f }) => tf.conv2d(x as Four, f as Four, 1, 1, "NHWC", [2, 2]),
    });
  });
});

describe("windows that have no translation are errors with operation and line", () => {
  const fail = (code: "shape" | "unsupported", fn: (image: Four) => tf.Tensor) =>
    failure(
      () => trace("compile", ({ x }) => ({ y: fn(x as Four) }), { x: { shape: [1, 4, 4, 3] } }),
      code,
    );

  it("an image smaller than the filter", async () => {
    const conv = (x: Four) => tf.conv2d(x, tf.ones([5, 5, 3, 4]) as Four, 1, "valid");
    const error = await fail("shape", conv);
    expect(error.message).toMatch(/conv2d: a window of \[5, 5\] does not fit .*window\.test\.ts/);
    const pooled = await fail("shape", (x) => tf.maxPool(x, 5, 1, "valid"));
    expect(pooled.message).toMatch(/maxPool: a window of \[5, 5\] does not fit/);
  });

  it("gradients for which TensorFlow.js forgets the rounding", async () => {
    const conv = (x: Four, f: Four) => tf.conv2d(x, f, 3, 0, "NHWC", 1, "ceil");
    const byFilter = (x: Four) =>
      tf.grad((f) => weightedSum(conv(x, f as Four)))(tf.ones([2, 2, 3, 4]));
    const error = await fail("shape", byFilter);
    expect(error.message).toMatch(/Conv2DBackprop\w+: values of \[1, 2, 2, 4\].*dimRoundingMode/);
  });

  it("windows wholly in the padding", async () => {
    const error = await fail("unsupported", (x) => tf.avgPool(x, 2, 1, 2));
    expect(error.message).toMatch(/avgPool: some windows of \[2, 2\] lie wholly in the padding/);
  });

  it("a transposed convolution of another size", async () => {
    const filter = () => tf.ones([3, 3, 2, 3]) as Four;
    const error = await fail("shape", (x) =>
      tf.conv2dTranspose(x, filter(), [1, 20, 20, 2], 2, "same"),
    );
    expect(error.message).toMatch(/conv2dTranspose: values of \[1, 4, 4, 3\] are not/);
  });
});
