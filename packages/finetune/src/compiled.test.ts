import "@tensorflow/tfjs-backend-cpu";
import { compiledExecutor } from "@dmae/compile";
import { type Batch, type HostTensors, key, uniform } from "@dmae/core";
import { type Executor, eagerExecutor } from "@dmae/nn";
import { createDmae, pretrainRecipes } from "@dmae/pretrain";
import { pretrainInputs, pretrainTask } from "@dmae/pretrain/tasks";
import type { TrainStep } from "@dmae/train";
import { specsOf, taskStep } from "@dmae/train/tasks";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { finetuneTask } from "./finetune-step.ts";
import { finetuneInputs } from "./inputs.ts";
import { probeTask } from "./probe-step.ts";
import { finetuneRecipes, linearProbeRecipes } from "./recipes.ts";

const shape = { imageSize: 16, inputSize: 12, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] };
const model = { width: 16, depth: 2, heads: 2 };
const schedule = { epochs: 2, warmupEpochs: 0, batchSize: 4, accumulate: 2, baseLearningRate: 0.1 };
const stepsPerEpoch = 4;

const batchOf = (step: number): Batch => ({
  images: uniform(key("images"), 4 * 144, { index: step }),
  labels: Int32Array.of(0, 1, 2, step % 3),
  indices: Int32Array.from([0, 1, 2, 3], (i) => 4 * step + i),
  size: 4,
  imageShape: [12, 12, 1],
});

async function follow(
  executor: Executor,
  step: TrainStep,
  state: HostTensors,
  batch: (step: number) => HostTensors,
) {
  const inputs = (at: number) => ({ ...batch(at), ...step.inputs(at) });
  const prepared = await executor.prepareStep(step.step, { state, batch: specsOf(inputs(0)) });
  const metrics: Record<string, number>[] = [];
  for (let at = 0; at < stepsPerEpoch; at++) metrics.push(await prepared(inputs(at)));
  const result = await prepared.state();
  prepared.dispose();
  return { metrics, state: result };
}

/** The same metrics and state from both executors; the key third of qkv biases is rounding noise. */
async function expectSame(
  step: TrainStep,
  state: HostTensors,
  batch: (step: number) => HostTensors,
) {
  const eager = await follow(eagerExecutor(), step, state, batch);
  const compiled = await follow(compiledExecutor(), step, state, batch);
  for (const [at, metrics] of eager.metrics.entries()) {
    expect(Object.keys(compiled.metrics[at]!)).toEqual(Object.keys(metrics));
    expectClose(Object.values(compiled.metrics[at]!), Object.values(metrics), { relative: 2e-5 });
  }
  expect(Object.keys(compiled.state)).toEqual(Object.keys(eager.state));
  for (const [name, { data }] of Object.entries(eager.state)) {
    if (name.endsWith("qkv.bias")) continue;
    const largest = Math.max(...Array.from(data, Math.abs));
    expectClose(compiled.state[name]!.data, data, { absolute: 1e-5 + 1e-4 * largest });
  }
}

describe("compiled steps take the eager ones' path", () => {
  beforeAll(async () => {
    await tf.setBackend("cpu");
  });

  it("pre-training with accumulation", async () => {
    const decoder = { decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
    const dmae = createDmae({ ...model, ...decoder }, shape);
    const params = dmae.initHost(key(1));
    const recipe = { ...pretrainRecipes["dmae-vit-b-imagenet-pretrain"], ...schedule };
    const step = taskStep(pretrainTask(dmae, recipe, params), { stepsPerEpoch });
    await expectSame(step, step.initState(params), (at) =>
      pretrainInputs(batchOf(at), { key: key(2), epoch: 0, length: 16, maskRatio: 0.75 }),
    );
  });

  it("fine-tuning with consistency, mixing, stochastic depth, clipping, an interval of sigmas", async () => {
    const vit = createViT(model, { ...shape, numClasses: 3 });
    const params = vit.initHost(key(1));
    const recipe = {
      ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"],
      ...schedule,
      sigma: [0.1, 0.3] as const,
      dropPath: 0.3,
      clipNorm: 1,
    };
    const step = taskStep(finetuneTask(vit, recipe, params), { stepsPerEpoch });
    await expectSame(step, step.initState(params), (at) =>
      finetuneInputs(recipe, batchOf(at), { key: key(2), step: at, epoch: 0, model: vit.config }),
    );
  });

  it("linear probing with running statistics", async () => {
    const recipe = { ...linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"], ...schedule };
    const zeros = (length: number, dims: number[]) => ({
      dtype: "float32" as const,
      shape: dims,
      data: new Float32Array(length),
    });
    const weight = { ...zeros(24, [3, 8]), data: uniform(key(3), 24, { low: -1 }) };
    const head = {
      "head.0.running_mean": zeros(8, [8]),
      "head.0.running_var": { ...zeros(8, [8]), data: new Float32Array(8).fill(1) },
      "head.1.weight": weight,
      "head.1.bias": zeros(3, [3]),
    };
    const batch = (at: number) => ({
      features: {
        ...zeros(32, [4, 8]),
        data: uniform(key(4), 32, { index: at, low: -2, high: 3 }),
      },
      targets: { ...zeros(12, [4, 3]), data: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0) },
    });
    const task = probeTask(recipe, { imageShape: [1, 1, 8] }, (_, { step }) => batch(step), head);
    const step = taskStep(task, { stepsPerEpoch });
    await expectSame(step, step.initState(head), batch);
  });
});
