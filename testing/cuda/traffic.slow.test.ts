import "@tensorflow/tfjs-backend-cpu";
import { key } from "@dmae/core";
import { softmaxCrossEntropy, type Tensors } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import {
  liveNodes,
  type Node,
  sizeOf,
  type Value,
} from "../../packages/compile/src/graph/graph.ts";
import type { Program } from "../../packages/compile/src/graph/optimize.ts";
import { forCard, fuse } from "../../packages/compile/src/kernels/fuse.ts";
import { finish, preferred } from "../../packages/compile/src/runtime/program.ts";
import { trace } from "../../packages/compile/src/tracing/trace.ts";

// What kernels save on paper: bytes that operators other than products read and write, for ViT-B/16 at batch 64. The table of
// docs/decisions/cards.md: npx vitest run -c vitest.slow.config.ts testing/cuda/traffic.slow.test.ts

const batch = 64;
const vit = createViT(
  { width: 768, depth: 12, heads: 12 },
  { imageSize: 224, patchSize: 16, channels: 3, numClasses: 1000 },
);
const params = vit.initHost(key(0));
const images = { dtype: "float32", shape: [batch, 224, 224, 3] } as const;

function tracedStep() {
  const train = createTrainStep({
    loss: (p, { x, y }) => ({ loss: tf.mean(softmaxCrossEntropy(vit.logits(p, x!), y!)) }),
    optimizer: adamw(),
    schedule: () => 1e-3,
    stepsPerEpoch: 10,
  });
  const state = train.initState(params);
  const labels = { dtype: "float32", shape: [batch, 1000] } as const;
  const step = (given: Tensors) => {
    const part = (isState: boolean) =>
      Object.fromEntries(Object.entries(given).filter(([name]) => name in state === isState));
    const { state: next, metrics } = train.step(part(true), part(false));
    return { ...next, ...metrics };
  };
  return trace("step", step, { ...state, ...train.inputs(0), x: images, y: labels });
}

const tracedLogits = () =>
  trace("logits", ({ x, ...p }) => ({ logits: vit.logits(p, x!) }), { x: images }, params);

/** Weights that are moved or rounded are so once, when a session is made. */
const isDoneBefore = ({ op, inputs }: Node) =>
  op === "Reshape" || ((op === "Transpose" || op === "Cast") && inputs[0]!.constant !== null);

function trafficOf({ graph, outputs }: Program) {
  const nodes = liveNodes(graph, outputs).filter((node) => !isDoneBefore(node));
  const bytes = (value: Value | null) => {
    if (!value || value.splat) return 0;
    const width = { float32: 4, int32: 4, int64: 8, bool: 1, uint8: 1, int8: 1 };
    return sizeOf(value.shape) * (width[value.dtype as keyof typeof width] ?? 2);
  };
  const others = nodes.filter(({ op }) => !/Gemm|MatMul|Conv|Attention/.test(op));
  const values = others.flatMap((node) => [...node.inputs, ...node.outputs]);
  return { operators: nodes.length, gigabytes: values.reduce((n, v) => n + bytes(v), 0) / 1e9 };
}

beforeAll(() => tf.setBackend("cpu"));

it.each([
  ["a training step", tracedStep, "float32", 0.4],
  ["a training step", tracedStep, "bfloat16", 0.22],
  ["logits", tracedLogits, "float32", 1],
  ["logits", tracedLogits, "bfloat16", 0.33],
] as const)("kernels for %s read and write less", (name, traced, precision, share) => {
  const program = (forKernels: boolean) =>
    finish("traffic", traced(), { precision }, preferred("cuda", forKernels));
  const standard = trafficOf(program(false));
  const kernels = trafficOf(fuse(program(true), forCard).program);
  const shown = (t: typeof kernels) => `${t.gigabytes.toFixed(1)} GB in ${t.operators} operators`;
  console.log(`${name}, ${precision}: ${shown(standard)}; with kernels ${shown(kernels)}`);
  expect(kernels.gigabytes / standard.gigabytes).toBeLessThan(share);
});
