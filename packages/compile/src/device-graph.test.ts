import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, it } from "vitest";
import { compileStep } from "./index.ts";
import { draws } from "./testing/sweep.ts";

beforeAll(() => tf.setBackend("cpu"));

/** ONNX Runtime that runs on the CPU what was written for another provider: its operators, types and order. */
const onnxruntime = {
  Tensor: ort.Tensor,
  InferenceSession: {
    create: (model: Uint8Array, options: object) =>
      ort.InferenceSession.create(model, { ...options, executionProviders: ["cpu"] }),
  },
};

const [batch, tokens, width] = [3, 5, 24];
const random = draws(5, "device");
const within = (shape: number[]) => random.floats(shape, -0.3, 0.3);
const state = {
  gain: random.floats([width], 0.5, 1.5),
  bias: within([width]),
  qkv: within([3 * width, width]),
  qkvBias: within([3 * width]),
  out: within([width, width]),
  outBias: within([width]),
  fc: within([2 * width, width]),
  fcBias: within([2 * width]),
  head: within([width, 2 * width]),
  headBias: within([width]),
};
const x = random.floats([batch, tokens, width]);

/** One block of a Vision Transformer and a step of gradient descent. */
const step = (p: Tensors, { x }: Tensors) => {
  const { loss, gradients } = valueAndGradients((w) => {
    const h = layerNorm(x!, w.gain!, w.bias!, 1e-6);
    const a = tf.add(x!, linear(attention(linear(h, w.qkv!, w.qkvBias!), 3), w.out!, w.outBias!));
    const y = linear(gelu(linear(a, w.fc!, w.fcBias!)), w.head!, w.headBias!);
    return { loss: tf.mean(tf.square(y)) };
  }, p);
  const next = Object.entries(p).map(([name, v]) => [
    name,
    tf.sub(v, tf.mul(gradients[name]!, 0.1)),
  ]);
  return { state: Object.fromEntries(next) as Tensors, metrics: { loss } };
};

async function run(options: object) {
  const init = { state, batch: { x: [batch, tokens, width] } };
  const prepared = await compileStep(step, init, options);
  let metrics: Record<string, number> = await prepared({ x });
  for (let i = 0; metrics.skipped && i < 20; i++) metrics = await prepared({ x });
  const after = await prepared.state();
  prepared.dispose();
  const names = Object.keys(state) as (keyof typeof state)[];
  const changes = names.flatMap((name) =>
    Array.from(after[name].data, (v, i) => v - state[name].data[i]!),
  );
  return { loss: metrics.loss!, changes };
}

it.each([
  ["cuda", "float32", 1e-5],
  ["webgpu", "float32", 1e-5],
  ["cuda", "float16", 0.01],
  ["webgpu", "float16", 0.01],
] as const)(
  "the graph for %s in %s trains as the one for the CPU",
  async (provider, precision, bound) => {
    const wanted = await run({});
    const found = await run({ provider, precision, onnxruntime });
    expect(Math.abs(found.loss - wanted.loss) / wanted.loss).toBeLessThan(bound);
    const distance = Math.hypot(...found.changes.map((v, i) => v - wanted.changes[i]!));
    expect(distance / Math.hypot(...wanted.changes)).toBeLessThan(bound);
  },
);

it("the graph for cuda in bfloat16 is valid, though the CPU lacks its operators", async () => {
  await expect(run({ provider: "cuda", precision: "bfloat16", onnxruntime })).rejects.toThrow(
    /NOT_IMPLEMENTED|Could not find an implementation/,
  );
});
