import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import type { HostTensor, HostTensors } from "@dmae/core";
import { eagerExecutor, selectBackend, type Tensors, toTensors, valueAndGradients } from "@dmae/nn";
import { decayGroups, specsOf, taskStep, torchGroups, unprefixed } from "@dmae/train/tasks";
import { CIFAR10_NORMALIZATION } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { createDmae, type DmaeInputs } from "./dmae.ts";
import { randomMasking } from "./masking.ts";
import { pretrainTask } from "./pretrain.ts";

// Recorded from models_dmae.py and engine_pretrain.py by testing/reference/training.py; see the metadata.
const fixture = readFixture(new URL("./__fixtures__/pretrain.safetensors", import.meta.url));
const settings = JSON.parse(fixture.metadata.settings!);
const dmae = createDmae({
  width: 16,
  depth: 2,
  heads: 2,
  imageSize: 56,
  inputSize: 20,
  patchSize: 8,
  decoderWidth: 12,
  decoderDepth: 1,
  decoderHeads: 3,
  sigma: 0.25,
  ...CIFAR10_NORMALIZATION,
});

const hostOf = (name: string): HostTensor => {
  const { shape, data } = fixture.get(name);
  return { dtype: "float32", shape, data: data as Float32Array };
};
const recordOf = (prefix: string): HostTensors =>
  Object.fromEntries(
    fixture.names
      .filter((name) => name.startsWith(prefix))
      .map((name) => [name.slice(prefix.length), hostOf(name)]),
  );
const officialOrder = Object.keys(dmae.initHost({ high: 0, low: 0 }));
const stored = recordOf("param.");
const params: HostTensors = Object.fromEntries(officialOrder.map((name) => [name, stored[name]!]));

/** Micro-batch `index` of the recorded run, with its noise and its order of masking. */
function inputsOf(index: number): HostTensors {
  const part = (name: string): HostTensor => {
    const { shape, data } = fixture.get(name);
    const [, ...rest] = shape;
    const size = data.length / shape[0]!;
    const values = Float32Array.from(data.subarray(index * size, (index + 1) * size));
    return { dtype: "float32", shape: rest, data: values };
  };
  const bytes = part("images_u8");
  return {
    images: { ...bytes, data: Float32Array.from(bytes.data, (value) => value / 255) },
    noise: part("noise"),
    ...randomMasking(part("mask_noise").data as Float32Array, {
      length: dmae.length,
      maskRatio: settings.mask_ratio,
    }),
  };
}

/** Without the key third of qkv biases: its gradient is zero in theory, rounding noise in practice. */
function meaningful(name: string, values: ArrayLike<number>): number[] {
  const all = Array.from(values);
  const third = all.length / 3;
  return name.endsWith("qkv.bias") ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
}

function expectParams(state: HostTensors, expected: HostTensors): void {
  for (const [name, { data }] of Object.entries(expected))
    expectClose(meaningful(name, state[name]!.data), meaningful(name, data), { absolute: 1e-5 });
}

function stepFor(stepsPerEpoch: number) {
  const batchSize = Number(fixture.metadata.batch_size);
  const task = pretrainTask(
    dmae,
    {
      name: "fixture",
      source: "testing/reference/training.py",
      model: { width: 16, depth: 2, heads: 2 },
      sigma: 0.25,
      maskRatio: settings.mask_ratio,
      normPixLoss: true,
      region: "all",
      epochs: settings.epochs,
      warmupEpochs: settings.warmup_epochs,
      batchSize,
      accumulate: settings.accum_iter,
      baseLearningRate: (settings.lr * 256) / (batchSize * settings.accum_iter),
      minLearningRate: settings.min_lr,
      weightDecay: 0.05,
      beta1: 0.9,
      beta2: 0.95,
      augmentation: null,
    },
    params,
  );
  return taskStep(task, { stepsPerEpoch });
}

describe("parameters", () => {
  it("have the names, order and shapes of the official state dict", () => {
    const fresh = dmae.initHost({ high: 1, low: 2 });
    expect(Object.keys(stored).sort()).toEqual([...officialOrder].sort());
    for (const [name, { shape }] of Object.entries(fresh))
      expect(stored[name]!.shape).toEqual(shape);
    for (const name of dmae.frozen)
      expectClose(fresh[name]!.data, stored[name]!.data, { absolute: 1e-6 });
  });

  it("fall into the official groups", () => {
    const recorded: { weight_decay: number; params: string[] }[] = JSON.parse(
      fixture.metadata.groups!,
    );
    const groups = decayGroups(params, { weightDecay: 0.05, frozen: dmae.frozen });
    expect(torchGroups(params, groups)).toEqual(recorded.map((group) => group.params));
    for (const { weight_decay, params: names } of recorded)
      for (const name of names) expect(groups[name]!.weightDecay).toBe(weight_decay);
  });
});

describe.each(["cpu", "wasm"])("the official pre-training on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  it("masks, encodes and predicts as models_dmae.py", () => {
    tf.tidy(() => {
      const inputs = toTensors(inputsOf(0));
      expectClose(inputs.mask!.dataSync(), fixture.get("mask").data);
      const out = dmae.apply(toTensors(params), inputs as unknown as DmaeInputs);
      expectClose(out.latent.dataSync(), fixture.get("latent").data, { absolute: 5e-5 });
      expectClose(out.prediction.dataSync(), fixture.get("prediction").data, { absolute: 5e-5 });
    });
  });

  it.each([false, true])("loss and every gradient with normPixLoss %s", (normPixLoss) => {
    tf.tidy(() => {
      const inputs = toTensors(inputsOf(0)) as unknown as DmaeInputs;
      const all = toTensors(params);
      const trained = Object.fromEntries(
        Object.entries(all).filter(([name]) => !dmae.frozen.includes(name)),
      );
      const { loss, gradients } = valueAndGradients(
        (p: Tensors) => ({ loss: dmae.loss({ ...all, ...p }, inputs, { normPixLoss }) }),
        trained,
      );
      const key = `norm_pix_${normPixLoss}`;
      expectClose(loss.dataSync(), fixture.get(`${key}.loss64`).data, { relative: 1e-5 });
      const expected = recordOf(`${key}.grad.`);
      expect(Object.keys(gradients).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, { data }] of Object.entries(expected)) {
        const wanted = meaningful(name, data);
        const largest = Math.max(...wanted.map(Math.abs));
        expectClose(meaningful(name, gradients[name]!.dataSync()), wanted, {
          absolute: 1e-4 * largest + 1e-8,
        });
      }
    });
  });

  it("averages over hidden patches only where MAE does", () => {
    tf.tidy(() => {
      const inputs = toTensors(inputsOf(0)) as unknown as DmaeInputs;
      const loss = dmae.loss(toTensors(params), inputs, { region: "masked" });
      expectClose(loss.dataSync(), fixture.get("masked_loss64").data, { relative: 1e-5 });
    });
  });

  it("follows engine_pretrain.py through three updates of two micro-batches, resumed half-way", async () => {
    const losses = fixture.get("losses64").data;
    const step = stepFor(losses.length);
    const run = async (state: HostTensors, from: number, to: number) => {
      const prepared = await eagerExecutor().prepareStep(step.step, {
        state,
        batch: specsOf({ ...inputsOf(0), ...step.inputs(0) }),
      });
      for (let at = from; at < to; at++) {
        const { loss } = await prepared({ ...inputsOf(at), ...step.inputs(at) });
        expectClose([loss!], [losses[at]!], { relative: 1e-5 });
      }
      const result = await prepared.state();
      prepared.dispose();
      return unprefixed("params.", result);
    };
    expect([0, 2, 4].map(step.learningRate)).toEqual([0, 4e-3 / 3, (4e-3 * 2) / 3]);
    expectParams(await run(step.initState(params), 0, 2), recordOf("param."));
    expectParams(await run(step.initState(params), 0, 6), recordOf("after3."));
    const half = { ...params, ...recordOf("after2.") };
    const resumed = step.initState(half, recordOf("state2."));
    expectParams(await run(resumed, 4, 6), recordOf("after3."));
  });
});
