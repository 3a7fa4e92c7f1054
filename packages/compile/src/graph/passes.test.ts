import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { forCard, forCpu, fuse } from "../kernels/fuse.ts";
import { faultsOf } from "../testing/verify-graph.ts";
import { trace } from "../tracing/trace.ts";
import { binary, reduce } from "./build.ts";
import { Graph } from "./graph.ts";
import { optimize, type Program } from "./optimize.ts";
import { tuneForCpu } from "./tune-for-cpu.ts";

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
] as const)("every pass leaves %s a sound graph", (_, fn) => {
  const traced = trace("test", fn, specs);
  expect(faultsOf(traced)).toEqual([]);
  const whole = optimize(traced);
  const [ready, onCard] = (["cpu", "card"] as const).map((forKernels) =>
    optimize(traced, { forKernels }),
  ) as [Program, Program];
  const passes = {
    optimize: whole,
    forKernels: ready,
    plainProducts: optimize(traced, { plainProducts: true, skipNorms: true }),
    tuneForCpu: tuneForCpu(whole),
    fuse: fuse(ready, forCpu(1)).program,
    forCard: fuse(onCard, forCard).program,
  };
  for (const [pass, program] of Object.entries(passes)) expect(faultsOf(program), pass).toEqual([]);
});

it("faults are found", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]);
  const wrongShape = g.add("Add", [x, x], {}, [3, 2], "float32");
  const wrongType = g.add("Exp", [x], {}, [2, 3], "int32");
  const stranger = new Graph().input("y", "float32", [2]);
  const outputs = [wrongShape, wrongType, reduce(g, "ReduceSum", x, [0]), stranger];
  expect(faultsOf({ graph: g, outputs })).toEqual([
    "Add: has the shape [3,2], its inputs give [2,3]",
    "Exp: is int32, its inputs give float32",
    `output: v${stranger.id} is not made yet`,
  ]);
  const sound = binary(g, "Mul", x, x);
  expect(faultsOf({ graph: g, outputs: [sound] })).toEqual([]);
});
