import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { expectSound } from "../testing/expect-sound.ts";
import { faultsOf } from "../testing/verify-graph.ts";
import { trace } from "../tracing/trace.ts";
import { binary, reduce } from "./build.ts";
import { unifyBatch } from "./dynamic-batch.ts";
import { type ElementType, Graph, type Value } from "./graph.ts";

const specs = {
  x: { shape: [2, 5, 8] },
  gain: { shape: [8] },
  bias: { shape: [8] },
  qkv: { shape: [24, 8] },
  w: { shape: [16, 8] },
  b: { shape: [16] },
};

/** A block of a transformer; attention, layer norm, GELU and their gradients are composite kernels. */
const block = ({ x, gain, bias, qkv, w, b }: Tensors) => {
  const normal = layerNorm(x as tf.Tensor3D, gain as tf.Tensor1D, bias as tf.Tensor1D, 1e-6);
  const three = linear(normal, qkv as tf.Tensor2D);
  const mixed = attention(three as tf.Tensor3D, 2);
  const hidden = gelu(linear(tf.add(mixed, x!), w as tf.Tensor2D, b as tf.Tensor1D));
  return { loss: tf.mean(tf.square(hidden)) as tf.Scalar };
};
const gradients = ({ x, ...params }: Tensors) => {
  const result = valueAndGradients((p) => block({ ...p, x: x! }), params);
  return { loss: result.loss, ...result.gradients };
};

it.each([
  ["a block", block],
  ["its gradients", gradients],
] as const)("every pass leaves %s a sound graph", (_, fn) => expectSound(fn, specs));

it("a graph for every batch size is sound", () => {
  const [two, three] = [2, 3].map((batch) =>
    trace("test", block, { ...specs, x: { shape: [batch, 5, 8] } }),
  );
  const whole = unifyBatch("test", two!, three!, 2, 3);
  expect(faultsOf(whole)).toEqual([]);
  expect(whole.dimensionName(whole.graph.inputs[0]!, 0)).toBe("batch");
});

it("only operators of the table become nodes, with their attributes", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]);
  // @ts-expect-error: no operator has this name
  expect(() => g.add("Sinus", [x])).toThrow();
  // @ts-expect-error: its attributes are missing
  expect(() => g.add("Transpose", [x])).toThrow();
  expect(() => g.add("MatMul", [x, x])).toThrow("inner dimensions of [2, 3] and [2, 3]");
});

it("faults are found", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]);
  const make = (op: "Add" | "Exp", inputs: Value[], shape: number[], dtype: ElementType) =>
    g.append({ op, domain: "", attributes: {} }, inputs, [{ shape, dtype }])[0]!;
  const wrongShape = make("Add", [x, x], [3, 2], "float32");
  const wrongType = make("Exp", [x], [2, 3], "int32");
  const wrongCount = make("Exp", [x, x], [2, 3], "float32");
  const stranger = new Graph().input("y", "float32", [2]);
  const outputs = [wrongShape, wrongType, wrongCount, reduce(g, "ReduceSum", x, [0]), stranger];
  expect(faultsOf({ graph: g, outputs })).toEqual([
    "Add: output 0 is float32[3,2], its inputs give float32[2,3]",
    "Exp: output 0 is int32[2,3], its inputs give float32[2,3]",
    "Exp: takes x, has 2",
    `output: v${stranger.id} is not made yet`,
  ]);
  const sound = binary(g, "Mul", x, x);
  expect(faultsOf({ graph: g, outputs: [sound] })).toEqual([]);
});
