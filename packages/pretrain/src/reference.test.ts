import "@tensorflow/tfjs-backend-wasm";
import { existsSync, readFileSync } from "node:fs";
import { loadCheckpoint } from "@dmae/checkpoint";
import { optimizerState } from "@dmae/checkpoint/resume";
import type { HostTensor, HostTensors } from "@dmae/core";
import { eagerExecutor, selectBackend, toTensors, valueAndGradients } from "@dmae/nn";
import { decayGroups, specsOf, taskStep, torchGroups, unprefixed } from "@dmae/train/tasks";
import { CIFAR10_NORMALIZATION } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { type FixtureTensor, readFixture } from "../../../testing/fixtures.ts";
import { createDmae, type DmaeInputs } from "./dmae.ts";
import { randomMasking } from "./masking.ts";
import { pretrainTask } from "./pretrain.ts";
import { pretrainRecipes } from "./recipes.ts";

// The reference set's own runs use ImageNet images, which may not be published: checked where present.
const reference = new URL("../../../../shared/reference/pretrain/", import.meta.url);
const read = (name: string) => readFixture(new URL(`${name}.safetensors`, reference));
const open = (name: string) => loadCheckpoint(new URL(`${name}.pth`, reference));
const small = {
  width: 24,
  depth: 2,
  heads: 3,
  decoderWidth: 16,
  decoderDepth: 2,
  decoderHeads: 4,
} as const;

/** `[B, C, H, W]` of a fixture as `[B, H, W, C]`, times `scale`; entry `index` of a leading axis if given. */
function nhwc({ shape, data }: FixtureTensor, scale = 1, index?: number): HostTensor {
  const [batch, channels, height, width] = shape.slice(-4) as [number, number, number, number];
  const size = batch * channels * height * width;
  const values = index === undefined ? data : data.subarray(index * size, (index + 1) * size);
  const out = new Float32Array(size);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < height * width; p++)
        out[(b * height * width + p) * channels + c] =
          values[(b * channels + c) * height * width + p]! * scale;
  return { dtype: "float32", shape: [batch, height, width, channels], data: out };
}

const masked = (noise: FixtureTensor["data"]) =>
  randomMasking(Float32Array.from(noise), { length: 196, maskRatio: 0.75 });

/** Without the key third of qkv biases, whose gradient is zero in theory. */
function meaningful(name: string, values: ArrayLike<number>): number[] {
  const all = Array.from(values);
  const third = all.length / 3;
  return name.endsWith("qkv.bias") ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
}

describe.skipIf(!existsSync(reference))("the recorded runs of the official code", () => {
  beforeAll(() => selectBackend("wasm"));

  it.each([false, true])(
    "224 x 224: loss and every gradient, normPixLoss %s",
    async (normPixLoss) => {
      const checkpoint = await open("checkpoint-0");
      const all = toTensors(await checkpoint.readAll());
      await checkpoint.close();
      const recorded = read("forward_224");
      const dmae = createDmae(small);
      const inputs = toTensors({
        images: nhwc(recorded.get("images_u8"), 1 / 255),
        noise: nhwc(recorded.get("noise")),
        ...masked(recorded.get("mask_noise").data),
      });
      tf.tidy(() => {
        const trained = Object.fromEntries(
          Object.entries(all).filter(([name]) => !dmae.frozen.includes(name)),
        );
        const { loss, gradients } = valueAndGradients(
          (p) => ({
            loss: dmae.loss({ ...all, ...p }, inputs as unknown as DmaeInputs, { normPixLoss }),
          }),
          trained,
        );
        expectClose(loss.dataSync(), recorded.get(`loss_norm_pix_${normPixLoss}`).data, {
          relative: 1e-5,
        });
        const expected = read(`grads_224_norm_pix_${normPixLoss}`);
        expect(Object.keys(gradients).sort()).toEqual([...expected.names].sort());
        for (const name of expected.names) {
          const wanted = meaningful(name, expected.get(name).data);
          const absolute = 1e-4 * Math.max(...wanted.map(Math.abs)) + 1e-8;
          expectClose(meaningful(name, gradients[name]!.dataSync()), wanted, { absolute });
        }
      });
      tf.dispose([all, inputs]);
    },
  );

  it("32 x 32: three steps from checkpoint-0.pth to the parameters and moments of checkpoint-after3.pth", async () => {
    const run = JSON.parse(readFileSync(new URL("train_32.json", reference), "utf8"));
    const recorded = read("train_32_inputs");
    const start = await open("checkpoint-0");
    const params = await start.readAll();
    await start.close();
    const dmae = createDmae(small, { inputSize: 32, ...CIFAR10_NORMALIZATION });
    const task = pretrainTask(
      dmae,
      {
        ...pretrainRecipes["dmae-vit-b-cifar10-continued"],
        batchSize: run.batch_size,
        accumulate: 1,
        baseLearningRate: run.blr,
        warmupEpochs: run.warmup_epochs,
        epochs: run.epochs,
      },
      params,
    );
    const step = taskStep(task, { stepsPerEpoch: run.micro_batches });
    const inputsOf = (index: number): HostTensors => ({
      images: nhwc(recorded.get("images_u8"), 1 / 255, index),
      noise: nhwc(recorded.get("noise"), 1, index),
      ...masked(recorded.get("mask_noise").data.subarray(index * 784, (index + 1) * 784)),
      ...step.inputs(index),
    });
    const prepared = await eagerExecutor().prepareStep(step.step, {
      state: step.initState(params),
      batch: specsOf(inputsOf(0)),
    });
    for (let index = 0; index < 3; index++) {
      expectClose([step.learningRate(index)], [run.lr_per_micro_batch[index]], { relative: 1e-15 });
      const { loss } = await prepared(inputsOf(index));
      expectClose([loss!], [run.norm_pix_true.loss_per_micro_batch[index]], { relative: 1e-5 });
    }
    const state = await prepared.state();
    prepared.dispose();
    const end = await open("checkpoint-after3");
    const groups = torchGroups(
      params,
      decayGroups(params, { weightDecay: 0.05, frozen: dmae.frozen }),
    );
    const { tensors, step: updates } = await optimizerState(end, groups);
    expect(updates).toBe(3);
    const ours = unprefixed("params.", state);
    for (const name of end.names) {
      const { data } = await end.read(name);
      expectClose(meaningful(name, ours[name]!.data), meaningful(name, data), { absolute: 1e-5 });
    }
    const slots = unprefixed("optimizer.", state);
    expect(Object.keys(slots).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, { data }] of Object.entries(tensors)) {
      const wanted = meaningful(name, data);
      const absolute = 1e-4 * Math.max(...wanted.map(Math.abs)) + 1e-12;
      expectClose(meaningful(name, slots[name]!.data), wanted, { absolute });
    }
    await end.close();
  });
});
