import "@tensorflow/tfjs-backend-cpu";
import "@dmae/nn"; // registers the gradients
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { type Case, type Draw, draws, expectSame } from "../testing/sweep.ts";
import { trace } from "../tracing/trace.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Image = tf.Tensor4D;

const fixed = (...values: number[]) => tf.tensor1d(values, "int32");

/** Kernels beyond those of `ops.test.ts`, each drawn three times and compared with eager cpu. */
const cases: Record<string, (d: Draw) => Case> = {
  depthToSpace: (d) => ({
    inputs: { x: d.floats([2, 3, 2, 12]) },
    fn: ({ x }) => tf.depthToSpace(x as Image, 2),
  }),
  flipLeftRight: (d) => ({
    inputs: { x: d.floats([2, 3, 5, 3]) },
    fn: ({ x }) => tf.image.flipLeftRight(x as Image),
  }),
  rotateWithOffset: (d) => {
    const angle = d.integer(-30, 30) / 10;
    const center = d.pick([0.5, [0.25, 0.75] as [number, number]]);
    return {
      inputs: { x: d.floats([2, 6, 5, 4]) },
      fn: ({ x }) => [
        tf.image.rotateWithOffset(x as Image, angle, 0.5, center),
        tf.image.rotateWithOffset(x as Image, angle, [1, 2, 3], center),
      ],
    };
  },
  "the gradient of localResponseNormalization": (d) => {
    const radius = d.integer(0, 4);
    const response = (v: tf.Tensor) =>
      tf.localResponseNormalization(v as Image, radius, 1.5, 0.7, 0.6);
    return {
      inputs: { x: d.floats([2, 3, 3, 7]), w: d.floats([2, 3, 3, 7]) },
      fn: ({ x, w }) => tf.grad((v) => tf.sum(tf.mul(response(v), w!)))(x!),
    };
  },
  bitwiseAnd: (d) => ({
    inputs: { a: d.integers([3, 4], -99, 99), b: d.integers([3, 4], -99, 99) },
    fn: ({ a, b }) => tf.bitwiseAnd(a!, b!),
  }),
  broadcastArgs: (d) => ({
    inputs: { x: d.floats([3]) },
    fn: ({ x }) => tf.add(x!, tf.sum(tf.broadcastArgs(fixed(2, 1, 3), fixed(4, 1)))),
  }),
  searchSorted: (d) => {
    const sorted = d.integers([2, 6], -3, 3);
    const rows = [0, 6].map((at) => (sorted.data as Int32Array).slice(at, at + 6).sort());
    return {
      inputs: {
        s: { ...sorted, data: Int32Array.from(rows.flatMap((r) => [...r])) },
        v: d.integers([2, 5], -4, 4),
      },
      fn: ({ s, v }) => [
        tf.lowerBound(s!, v!),
        tf.upperBound(s!, v!),
        tf.searchSorted(tf.cast(s!, "float32"), tf.cast(v!, "float32")),
      ],
    };
  },
  sparseToDense: (d) => ({
    inputs: { v: d.floats([3]), filling: d.floats([]), one: d.floats([]) },
    fn: ({ v, filling, one }) => [
      tf.sparseToDense(fixed(4, 0, 2), v!, [6], filling as tf.Scalar),
      tf.sparseToDense(fixed(4, 0, 2), one!, [6]),
      tf.sparseToDense(
        tf.tensor2d(
          [
            [0, 1],
            [2, 2],
            [1, 0],
          ],
          [3, 2],
          "int32",
        ),
        v!,
        [3, 3],
      ),
      tf.sparseToDense(tf.scalar(1, "int32"), one!, [3]),
    ],
  }),
  maxPoolWithArgmax: (d) => {
    const [pad, strides] = [d.pick(["same", "valid", 0] as const), d.integer(1, 3)];
    return {
      inputs: { x: d.floats([2, 6, 7, 3]) },
      fn: ({ x }) =>
        [true, false].flatMap((inBatch) => {
          const { result, indexes } = tf.maxPoolWithArgmax(x as Image, 3, strides, pad, inBatch);
          return [result!, indexes!];
        }),
    };
  },
  cropAndResize: (d) => {
    const whole = [0, 0, 1, 1];
    const turned = [0.9, 0.8, 0.1, 0.3];
    const boxes = [...whole, ...turned, ...d.floats([3, 4], -0.3, 1.3).data];
    const size: [number, number] = [d.integer(1, 6), d.integer(1, 6)];
    return {
      inputs: {
        x: d.floats([2, 5, 4, 3]),
        boxes: { dtype: "float32", shape: [5, 4], data: Float32Array.from(boxes) },
        owners: d.integers([5], 0, 1),
      },
      fn: ({ x, boxes, owners }) =>
        (["bilinear", "nearest"] as const).map((method) =>
          tf.image.cropAndResize(
            x as Image,
            boxes as tf.Tensor2D,
            owners as tf.Tensor1D,
            size,
            method,
            0.5,
          ),
        ),
    };
  },
  "reverse along every axis": (d) => ({
    inputs: { x: d.floats([2, 3]), v: d.integers([4]) },
    fn: ({ x, v }) => [tf.reverse(x!), tf.reverse(v!)],
  }),
};

for (const [name, make] of Object.entries(cases))
  it(name, async () => {
    for (const seed of [1, 2, 3]) await expectSame(make(draws(seed, name)));
  });

it("broadcastArgs of computed shapes is an error", async () => {
  const error = await failure(
    () =>
      trace("compile", ({ x }) => ({ y: tf.broadcastArgs(x!, fixed(2)) }), {
        x: { shape: [1], dtype: "int32" },
      }),
    "unsupported",
  );
  expect(error.message).toMatch(/compile: broadcastArgs: shapes must be known .*kernels\.test\.ts/);
});
