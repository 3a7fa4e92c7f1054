import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { trace } from "../tracing/trace.ts";

type Inputs = Record<"x" | "y" | "z" | "image" | "i" | "c", tf.Tensor>;

const specs = {
  x: { shape: [2, 3] },
  y: { shape: [4] },
  z: { shape: [3, 2] },
  image: { shape: [1, 4, 4, 3] },
  i: { shape: [2], dtype: "int32" },
  c: { shape: [2, 3], dtype: "bool" },
} as const;

/** What is wrong with shapes, and the part of the message that says so. */
const mistakes: Record<string, [(inputs: Inputs) => tf.Tensor | tf.Tensor[], string]> = {
  matMul: [({ x }) => tf.matMul(x, x), "matMul: the inner dimensions of [2, 3] and [2, 3]"],
  "matMul, transposed": [({ x, z }) => tf.matMul(x, z, true), "[2, 3] transposed and [3, 2]"],
  add: [({ x, y }) => tf.add(x, y), "add: the shapes [2, 3] and [4] do not broadcast"],
  mul: [({ x, z }) => tf.mul(x, z), "3 meets 2"],
  prelu: [({ x, y }) => tf.prelu(x, y), "prelu: the shapes [2, 3] and [4]"],
  batchNorm: [({ x, y }) => tf.batchNorm(x, y as tf.Tensor1D, y as tf.Tensor1D), "batchNorm: "],
  "slice beyond the end": [({ x }) => tf.slice(x, [0, 1], [2, 5]), "it reaches 6, the axis has 3"],
  "slice from beyond the end": [({ y }) => tf.slice(y, [5], [1]), "slice: the block from [5]"],
  stack: [({ x, z }) => tf.stack([x, z]), "stack: tensor 1 has the shape [3, 2], tensor 0 [2, 3]"],
  concat: [({ x, z }) => tf.concat([x, z]), "concat: tensor 1 of shape [3, 2] does not fit"],
  "gather along no axis": [({ x, i }) => tf.gather(x, i, 5), "gather: axis 5 does not exist"],
  "gather beyond the end": [({ x }) => tf.gather(x, [2]), "index 2 lies outside axis 0 of [2, 3]"],
  "gather before 0": [({ x }) => tf.gather(x, [-1]), "index -1 lies outside axis 0 of [2, 3]"],
  "gather in batches": [({ x, image }) => tf.gather(image, tf.cast(x, "int32"), 1, 1), "batchDims"],
  gatherND: [({ x }) => tf.gatherND(x, tf.tensor2d([[1, 3]], [1, 2], "int32")), "outside axis 1"],
  scatterND: [
    ({ x }) => tf.scatterND(tf.tensor2d([[0], [7]], [2, 1], "int32"), x, [4, 3]),
    "index 7 lies outside axis 0 of [4, 3]",
  ],
  sum: [({ x }) => tf.sum(x, 2), "sum: axis 2 does not exist in a tensor of rank 2"],
  mean: [({ x }) => tf.mean(x, [-3]), "mean: axis -3 does not exist"],
  cumsum: [({ x }) => tf.cumsum(x, 3), "cumsum: axis 3 does not exist"],
  "split into halves": [({ x }) => tf.split(x, 2, 1), "split: axis 1 of [2, 3] has 3 entries"],
  "split into parts": [({ x }) => tf.split(x, [1, 1], 1), "parts of 1 + 1"],
  pad: [({ x }) => tf.pad(x, [[1, 1]]), "pad: paddings must be 2 pairs"],
  einsum: [
    ({ x }) => tf.einsum("ij,jk->ik", x, x),
    'operand 1 of shape [2, 3] does not fit "ij,jk',
  ],
  "einsum, rank": [({ x, y }) => tf.einsum("ij,jk->ik", x, y), "einsum: operand 1"],
  resizeBilinear: [({ image }) => tf.image.resizeBilinear(image as tf.Tensor4D, [0, 4]), "from 1"],
  reshape: [({ x }) => tf.reshape(x, [-1, 4]), "reshape: "],
};

describe("shapes that do not fit are errors while tracing, with operation and line", () => {
  for (const [name, [fn, message]] of Object.entries(mistakes))
    it(name, async () => {
      const record = (inputs: Record<string, tf.Tensor>) => {
        const result = fn(inputs as Inputs);
        return { y: Array.isArray(result) ? result[0]! : result };
      };
      const error = await failure(() => trace("compile", record, specs), "shape");
      expect(error.message).toContain(message);
      expect(error.message).toMatch(/^compile: \w+: .* \(called at .*shapes\.test\.ts:\d+:\d+\)$/);
      expect(error.details.operation).toBe(name.split(/[, ]/)[0]);
    });
});
