import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { type Case, expectSame } from "../testing/sweep.ts";
import { trace } from "../tracing/trace.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const floats = (...values: number[]): HostTensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const ints = (values: number[], shape = [values.length]): HostTensor => ({
  dtype: "int32",
  shape,
  data: Int32Array.from(values),
});
const bools = (values: number[], shape = [values.length]): HostTensor => ({
  dtype: "bool",
  shape,
  data: Uint8Array.from(values),
});

/** dtype, shape and values must be those of eager. */
function same(cases: Record<string, Case>): void {
  for (const [name, one] of Object.entries(cases)) it(name, () => expectSame(one));
}

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

const each = <T>(fns: Record<string, T>, make: (fn: T) => Case) =>
  Object.fromEntries(Object.entries(fns).map(([name, fn]) => [name, make(fn)]));

const { abs, neg, sign, relu, relu6, square, leakyRelu, selu, softplus, log1p, expm1 } = tf;
const { reciprocal, asin, atan, sinh, asinh, erf, exp, logSoftmax } = tf;
const { mod, floorDiv, squaredDifference, mul, div, divNoNan, pow, maximum, minimum } = tf;
const step: Unary = (x) => tf.step(x, 0.5);
const { sum, max, min, prod, mean, cumsum, cumprod, argMax } = tf;
const reductions = { sum, max, min, prod, mean, argMax };

describe("int32", () => {
  const x = ints([-3, 0, 1, 2, 5]);
  const [a, b] = [ints([-7, -3, 0, 0, 4, 5]), ints([2, -2, 0, -1, 0, 3])];
  const unary: Record<string, Unary> = { leakyRelu, selu, softplus, log1p, expm1, reciprocal };
  same({
    ...each({ ...unary, asin, atan, sinh, asinh, erf, exp, step, logSoftmax }, (fn) => ({
      inputs: { x },
      fn: ({ x }) => fn(x!),
    })),
    ...each<Binary>({ atan2: tf.atan2, mod, pow, div, divNoNan, floorDiv }, (fn) => ({
      inputs: { a, b },
      fn: ({ a, b }) => fn(a!, b!),
    })),
    matMul: {
      inputs: { a: ints([1, -2, 3, 4, 5, 6], [2, 3]), b: ints([1, 2, 3, 4, 5, 6], [3, 2]) },
      fn: ({ a, b }) => [
        tf.matMul(a!, b!),
        tf.matMul(b!, a!, true, true),
        tf.matMul(a!, a!, false, true),
      ],
    },
    "matMul in batches": {
      inputs: { a: ints([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]) },
      fn: ({ a }) => [tf.matMul(a!, a!, true), tf.einsum("bij,bjk->bik", a!, a!)],
    },
    confusionMatrix: {
      inputs: { x: ints([0, 1, 2, 2]), y: ints([0, 2, 2, 1]) },
      fn: ({ x, y }) => tf.math.confusionMatrix(x as tf.Tensor1D, y as tf.Tensor1D, 3),
    },
    "where with floats": {
      inputs: { c: bools([1, 0, 1]), a: ints([1, 2, 3]), b: floats(0.5, 1.5, 2.5) },
      fn: ({ c, a, b }) => [tf.where(c!, a!, b!), tf.where(c!, b!, a!), tf.where(c!, c!, b!)],
    },
    "concat with floats": {
      inputs: { a: ints([1, 2, 3]), b: floats(0.5, -1.5) },
      fn: ({ a, b }) => [tf.concat([a!, b!]), tf.concat([b!, a!])],
    },
    prelu: { inputs: { x }, fn: ({ x }) => tf.prelu(x!, tf.scalar(2, "int32")) },
    unsortedSegmentSum: {
      inputs: { x },
      fn: ({ x }) => tf.unsortedSegmentSum(x!, tf.tensor1d([0, 1, 1, 0, 2], "int32"), 3),
    },
    histograms: {
      inputs: { x: ints([0, 3, 3, 1]), w: ints([5, 6, 7, 8]), c: bools([1, 1, 0, 1]) },
      fn: ({ x, w, c }) => {
        const [values, weights] = [x as tf.Tensor1D, w as tf.Tensor1D];
        return [
          tf.bincount(values, weights, 4),
          tf.denseBincount(values, weights, 5),
          tf.denseBincount(values, c as tf.Tensor1D, 5, true),
        ];
      },
    },
    "images: resizing, pooling": {
      inputs: { x: ints([1, 2, 3, 4, 250, 6], [1, 2, 3, 1]) },
      fn: ({ x }) => {
        const image = x as tf.Tensor4D;
        return [
          tf.image.resizeBilinear(image, [3, 5]),
          tf.image.resizeNearestNeighbor(image, [3, 5]),
          tf.maxPool(image, 2, 1, "same"),
        ];
      },
    },
  });
});

describe("bool", () => {
  const [x, y] = [bools([1, 0, 1, 1, 0, 0]), bools([1, 1, 0, 1, 0, 1])];
  const unary = { abs, neg, sign, relu, relu6, square, selu, softplus, log1p, expm1, step };
  const binary = { mod, floorDiv, squaredDifference, mul, div, divNoNan, pow, maximum, minimum };
  same({
    ...each<Unary>({ ...unary, reciprocal, leakyRelu, exp }, (fn) => ({
      inputs: { x },
      fn: ({ x }) => fn(x!),
    })),
    ...each<Binary>({ ...binary, atan2: tf.atan2 }, (fn) => ({
      inputs: { x, y },
      fn: ({ x, y }) => fn(x!, y!),
    })),
    ...each<Unary>({ ...reductions, cumsum, cumprod }, (fn) => ({
      inputs: { x: bools([1, 0, 1, 1, 0, 0], [2, 3]) },
      fn: ({ x }) => [fn(x!), fn(tf.reshape(x!, [6]))],
    })),
    topk: {
      inputs: { x },
      fn: ({ x }) => {
        const { values, indices } = tf.topk(x!, 2);
        return [values, indices];
      },
    },
    clipByValue: { inputs: { x }, fn: ({ x }) => tf.clipByValue(x!, 0, 0.5) },
  });

  const sums: Record<string, Binary> = { add: tf.add, sub: tf.sub, matMul: tf.matMul };
  for (const [name, fn] of Object.entries(sums))
    it(`${name}, which eager leaves at 2, is refused`, async () => {
      const specs = { x: { shape: [2, 2], dtype: "bool" } } as const;
      const refused = failure(
        () => trace("compile", ({ x }) => ({ y: fn(x!, x!) }), specs),
        "unsupported",
      );
      expect((await refused).message).toMatch(
        new RegExp(`^compile: ${name}: .* cast to int32 first.*dtypes\\.test\\.ts`),
      );
    });
});

describe("values without a number", () => {
  const logs = { inputs: { x: floats(-1, 0, 1, 3) } };
  same({
    "casts of NaN, infinities and what is too large": {
      inputs: { x: floats(-1, 0, 1, 3e9, 1e30, -3e9, 2.7, -2.7) },
      fn: ({ x }) => [
        tf.cast(tf.log(x!), "int32"),
        tf.cast(tf.neg(tf.log(x!)), "int32"),
        tf.cast(x!, "int32"),
        tf.cast(tf.log(x!), "bool"),
      ],
    },
    "floorDiv by 0": {
      inputs: { a: floats(1, -1, 0, 5), b: floats(0, 0, 0, 0.3) },
      fn: ({ a, b }) => tf.floorDiv(a!, b!),
    },
    sign: { ...logs, fn: ({ x }) => tf.sign(tf.log(x!)) },
    ...each<Unary>(
      Object.fromEntries(
        Object.entries(reductions).map(([name, fn]) => [
          `${name} of nothing`,
          (x) => (fn as (x: tf.Tensor, axis: number) => tf.Tensor)(x, 1),
        ]),
      ),
      (fn) => ({
        inputs: { x: floats(1, 2), i: ints([1, 2]) },
        fn: ({ x, i }) =>
          [x!, i!].map((v) => fn(tf.slice(tf.reshape(v, [2, 1, 1]), [0, 0, 0], [2, 0, 1]))),
      }),
    ),
  });
});
