import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { loadCheckpoint } from "@dmae/checkpoint";
import { optimizerState } from "@dmae/checkpoint/resume";
import type { HostTensor, HostTensors } from "@dmae/core";
import { eagerExecutor, selectBackend, type Tensors, toTensors, valueAndGradients } from "@dmae/nn";
import type { TrainStep } from "@dmae/train";
import { specsOf, taskStep, torchGroups, unprefixed } from "@dmae/train/tasks";
import { createViT, fromPretrained } from "@dmae/vit";
import { CIFAR10_NORMALIZATION } from "@dmae/vit/parts";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { finetuneGroups, finetuneLoss, finetuneTask } from "./finetune-step.ts";
import { type Mixing, mixingInputs, softTargets } from "./mixing.ts";
import { batchNorm, foldProbe, probeTask } from "./probe-step.ts";
import type { FinetuneRecipe } from "./recipe.ts";

type Fixture = ReturnType<typeof readFixture>;
// Recorded from engine_finetune.py by testing/reference/training.py; see the metadata.
const fixture = readFixture(new URL("./__fixtures__/finetune.safetensors", import.meta.url));
const probe = readFixture(new URL("./__fixtures__/linear-probe.safetensors", import.meta.url));

const hostOf = (from: Fixture, name: string): HostTensor => {
  const { shape, data } = from.get(name);
  return { dtype: "float32", shape, data: data as Float32Array };
};
const recordOf = (from: Fixture, prefix: string): HostTensors =>
  Object.fromEntries(
    from.names
      .filter((name) => name.startsWith(prefix))
      .map((name) => [name.slice(prefix.length), hostOf(from, name)]),
  );

/** Entry `index` along the first axis. */
function part(from: Fixture, name: string, index: number): HostTensor {
  const { shape, data } = from.get(name);
  const size = data.length / shape[0]!;
  const values = Float32Array.from(data.subarray(index * size, (index + 1) * size));
  return { dtype: "float32", shape: shape.slice(1), data: values };
}

const imagesOf = (from: Fixture, index: number): HostTensor => {
  const bytes = part(from, "images_u8", index);
  return { ...bytes, data: Float32Array.from(bytes.data, (value) => value / 255) };
};

/** Without the key third of qkv biases: its gradient is zero in theory, rounding noise in practice. */
function meaningful(name: string, values: ArrayLike<number>): number[] {
  const all = Array.from(values);
  const third = all.length / 3;
  return name.endsWith("qkv.bias") ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
}

type Variant = "gp" | "cls" | "rs";

/** A recorded run: `gp` CR with drop path and clipping, `cls` CR with mixing and accumulation, `rs` mixing alone. */
function recorded(variant: Variant) {
  const settings = JSON.parse(fixture.metadata[`${variant}_settings`]!);
  const mixings: { kind: "mixup" | "cutmix"; lambda: number; box?: number[] }[] = JSON.parse(
    fixture.metadata[`${variant}_mixing`]!,
  );
  const vit = createViT(
    { width: 16, depth: 2, heads: 2 },
    {
      imageSize: 56,
      inputSize: 20,
      patchSize: 8,
      numClasses: 5,
      globalPool: settings.global_pool,
      ...CIFAR10_NORMALIZATION,
    },
  );
  const { config, initHost } = vit;
  const batchSize = Number(fixture.metadata.batch_size);
  const copies: number = settings.con_reg ? settings.num_noise_sample : 1;
  const recipe: FinetuneRecipe = {
    name: variant,
    source: "testing/reference/training.py",
    model: vit,
    sigma: settings.sigma,
    sigmaPer: "image",
    method: settings.con_reg
      ? {
          name: "consistency",
          copies: settings.num_noise_sample,
          lambda: settings.reg_lbd,
          mu: settings.reg_eta,
        }
      : { name: "gaussian", copies: 1 },
    labelSmoothing: settings.smoothing,
    mixup: settings.mix ? 0.8 : 0,
    cutmix: settings.mix ? 1 : 0,
    mixProbability: 1,
    switchProbability: 0.5,
    dropPath: settings.drop_path,
    layerDecay: settings.layer_decay,
    epochs: settings.epochs,
    warmupEpochs: settings.warmup_epochs,
    batchSize,
    accumulate: settings.accum_iter,
    baseLearningRate: (settings.lr * 256) / (batchSize * settings.accum_iter),
    minLearningRate: settings.min_lr,
    weightDecay: settings.weight_decay,
    beta1: 0.9,
    beta2: 0.999,
    clipNorm: settings.clip,
    augmentation: null,
  };
  const stored = recordOf(fixture, `${variant === "rs" ? "gp" : variant}.param.`);
  const order = Object.keys(initHost({ high: 0, low: 0 }));
  const params: HostTensors = Object.fromEntries(order.map((name) => [name, stored[name]!]));
  const targets = fixture.get("targets");
  const inputs = (index: number): HostTensors => {
    const own = targets.data.subarray(index * batchSize, (index + 1) * batchSize);
    const labels = Array.from({ length: copies * batchSize }, (_, i) => own[i % batchSize]!);
    const mixing = toMixing(mixings[index]);
    return {
      images: imagesOf(fixture, index),
      noise: part(fixture, `${variant}.noise`, index),
      targets: softTargets(labels, 5, settings.smoothing, mixing),
      ...(settings.mix ? mixingInputs(mixing, 56) : {}),
      ...(settings.drop_path > 0 ? { dropPath: part(fixture, `${variant}.dropPath`, index) } : {}),
    };
  };
  const micro: number = settings.micro;
  const step = taskStep(finetuneTask(vit, recipe, params), {
    stepsPerEpoch: micro,
    updateOffset: -(settings.epoch * micro) / recipe.accumulate, // the recorded run begins in epoch 1
  });
  return {
    vit,
    config,
    recipe,
    params,
    stored,
    inputs,
    step,
    micro,
    first: settings.epoch * micro,
  };
}

function toMixing(drawn: { kind: string; lambda: number; box?: number[] } | undefined): Mixing {
  if (drawn === undefined) return { kind: "none" };
  if (drawn.kind === "mixup") return { kind: "mixup", lambda: drawn.lambda };
  const [top, bottom, left, right] = drawn.box as [number, number, number, number];
  return { kind: "cutmix", lambda: drawn.lambda, top, bottom, left, right };
}

describe("parameter groups", () => {
  it.each(["gp", "cls"] as const)("are those of param_groups_lrd: %s", (variant) => {
    const { config, recipe, params, stored } = recorded(variant);
    expect(Object.keys(params).sort()).toEqual(Object.keys(stored).sort());
    const wanted: Record<string, [number, number]> = JSON.parse(
      fixture.metadata[`${variant}_groups`]!,
    );
    const groups = finetuneGroups(config, recipe, params);
    expect(Object.keys(groups).sort()).toEqual(Object.keys(wanted).sort());
    for (const [name, [scale, weightDecay]] of Object.entries(wanted)) {
      expectClose([groups[name]!.learningRateScale], [scale], { relative: 1e-15 });
      expect(groups[name]!.weightDecay).toBe(weightDecay);
    }
  });
});

describe.each(["cpu", "wasm"])("the official fine-tuning on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  it.each(["gp", "cls"] as const)("first update, every gradient: %s", (variant) => {
    const { vit, recipe, params, inputs } = recorded(variant);
    const sum: Record<string, Float64Array> = {};
    for (let index = 0; index < recipe.accumulate; index++)
      tf.tidy(() => {
        const loss = finetuneLoss(vit, recipe);
        const batch = toTensors(inputs(index));
        const { gradients } = valueAndGradients(
          (p: Tensors) => ({ loss: loss(p, batch).loss }),
          toTensors(params),
        );
        for (const [name, gradient] of Object.entries(gradients)) {
          const values = gradient.dataSync();
          sum[name] = (sum[name] ?? new Float64Array(values.length)).map(
            (total, i) => total + values[i]! / recipe.accumulate,
          );
        }
      });
    const factor = recipe.clipNorm === null ? 1 : clipFactor(sum, recipe.clipNorm);
    const expected = recordOf(fixture, `${variant}.grad1.`);
    expect(Object.keys(sum).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { data }] of Object.entries(expected)) {
      const wanted = meaningful(name, data);
      const largest = Math.max(...wanted.map(Math.abs));
      expectClose(
        meaningful(
          name,
          sum[name]!.map((value) => value * factor),
        ),
        wanted,
        { absolute: 1e-4 * largest + 1e-7 },
      );
    }
  });

  it.each(["gp", "cls", "rs"] as const)("three updates: %s", async (variant) => {
    const run = recorded(variant);
    const state = run.step.initState(run.params);
    await follow(run, variant, state, 0);
  });

  it("goes on from the official optimizer state after the first update", async () => {
    const run = recorded("gp");
    const params = { ...run.params, ...recordOf(fixture, "gp.after1.") };
    await follow(run, "gp", run.step.initState(params, recordOf(fixture, "gp.state1.")), 1);
  });

  it("goes on from an official checkpoint.pth half-way, layer decay, mixing and accumulation included", async () => {
    const run = recorded("cls");
    const { config, recipe } = run;
    // Written by the official save_model after two of the three updates: testing/reference/training.py.
    const checkpoint = await loadCheckpoint(
      new URL("./__fixtures__/checkpoint-cls-update-2.pth", import.meta.url),
    );
    const vit = createViT({ width: 16, depth: 2, heads: 2 }, config);
    const { params, report } = await fromPretrained(vit, checkpoint);
    expect([report.created, report.ignored]).toEqual([[], []]);
    const groups = torchGroups(params, finetuneGroups(config, recipe, params));
    const optimizer = await optimizerState(checkpoint, groups);
    await checkpoint.close();
    expect(optimizer.step).toBe(2);
    const scales = optimizer.groups.map((group) => group.lr_scale);
    expect(new Set(scales)).toEqual(new Set([1, 0.65, 0.65 ** 2, 0.65 ** 3]));
    const start = run.step.initState(params, optimizer.tensors);
    await follow(run, "cls", start, 2 * recipe.accumulate);
    // The recorded end is not reached from fresh moments: the optimizer's state counts.
    const fresh = run.step.initState(params);
    await expect(follow(run, "cls", fresh, 2 * recipe.accumulate)).rejects.toThrow();
  });
});

function clipFactor(gradients: Record<string, Float64Array>, clipNorm: number): number {
  let squares = 0;
  for (const values of Object.values(gradients)) for (const v of values) squares += v * v;
  return Math.min(1, clipNorm / (Math.sqrt(squares) + 1e-6));
}

async function follow(
  { step, inputs, micro, first }: ReturnType<typeof recorded>,
  variant: Variant,
  state: HostTensors,
  from: number,
): Promise<void> {
  const crossEntropy = fixture.get(`${variant}.losses64`).data;
  const prepared = await prepare(step, state, { ...inputs(0), ...step.inputs(first) });
  for (let index = from; index < micro; index++) {
    const metrics = await prepared({ ...inputs(index), ...step.inputs(first + index) });
    const isMixed = variant !== "gp"; // targets of mixed batches are recorded too
    if (isMixed)
      expectClose(
        inputs(index).targets!.data,
        fixture.get(`${variant}.soft_targets.${index}`).data,
        {
          absolute: 1e-6,
        },
      );
    const isConsistent = metrics.consistency !== undefined;
    const parts = isConsistent ? [metrics.trainLoss!, metrics.consistency!] : [metrics.loss!];
    const wanted = [crossEntropy[index]!];
    if (isConsistent) wanted.push(fixture.get(`${variant}.consistency64`).data[index]!);
    expectClose(parts, wanted, { relative: 1e-5 });
  }
  const result = unprefixed("params.", await prepared.state());
  prepared.dispose();
  for (const [name, { data }] of Object.entries(recordOf(fixture, `${variant}.after3.`)))
    expectClose(meaningful(name, result[name]!.data), meaningful(name, data), { absolute: 1e-5 });
}

const prepare = (step: TrainStep, state: HostTensors, batch: HostTensors) =>
  eagerExecutor().prepareStep(step.step, {
    state,
    batch: specsOf(batch),
  });

describe.each(["cpu", "wasm"])("the official linear probe on %s", (backend) => {
  beforeAll(() => selectBackend(backend));
  const settings = JSON.parse(probe.metadata.settings!);
  const batchSize = Number(probe.metadata.batch_size);
  const encoder = recordOf(probe, "param.");
  const micro = probe.get("losses64").data.length;
  const vit = createViT(
    { width: 16, depth: 1, heads: 2 },
    {
      imageSize: 56,
      inputSize: 12,
      patchSize: 8,
      numClasses: 5,
      globalPool: false,
      ...CIFAR10_NORMALIZATION,
    },
  );
  const targetsOf = (index: number) =>
    softTargets(
      probe.get("targets").data.subarray(index * batchSize, (index + 1) * batchSize),
      5,
      0,
    );
  const head: HostTensors = {
    "head.0.running_mean": { dtype: "float32", shape: [16], data: new Float32Array(16) },
    "head.0.running_var": { dtype: "float32", shape: [16], data: new Float32Array(16).fill(1) },
    "head.1.weight": encoder["head.weight"]!,
    "head.1.bias": encoder["head.bias"]!,
  };

  it("sees the official features of noisy images", () => {
    tf.tidy(() => {
      const { images, noise } = toTensors({
        images: imagesOf(probe, 0),
        noise: part(probe, "noise", 0),
      });
      const x = tf.add(images!, tf.mul(noise!, settings.sigma));
      const features = vit.features(toTensors(encoder), x);
      expectClose(features.dataSync(), part(probe, "features", 0).data, { absolute: 5e-5 });
    });
  });

  it("follows head, running statistics and losses through four LARS updates of two micro-batches", async () => {
    const task = probeTask(
      {
        name: "fixture",
        source: "testing/reference/training.py",
        model: vit,
        sigma: settings.sigma,
        epochs: settings.epochs,
        warmupEpochs: settings.warmup_epochs,
        batchSize,
        accumulate: settings.accum_iter,
        baseLearningRate: (settings.lr * 256) / (batchSize * settings.accum_iter),
        minLearningRate: settings.min_lr,
        weightDecay: settings.weight_decay,
        momentum: settings.momentum,
        trustCoefficient: settings.trust_coefficient,
        augmentation: null,
      },
      { imageShape: [12, 12, 3] },
      targetsOf as never,
      head,
    );
    const step = taskStep(task, { stepsPerEpoch: micro });
    const inputs = (index: number) => ({
      features: part(probe, "features", index),
      targets: targetsOf(index),
      ...step.inputs(settings.epoch * micro + index),
    });
    const prepared = await prepare(step, step.initState(head), inputs(0));
    for (let index = 0; index < micro; index++) {
      const { loss } = await prepared(inputs(index));
      expectClose([loss!], [probe.get("losses64").data[index]!], { relative: 1e-5 });
      if (index % settings.accum_iter !== settings.accum_iter - 1) continue;
      const state = unprefixed("params.", await prepared.state());
      const update = (index + 1) / settings.accum_iter;
      for (const [name, { data }] of Object.entries(recordOf(probe, `after${update}.`)))
        expectClose(state[name]!.data, data, { absolute: 1e-6 });
    }
    const final = unprefixed("params.", await prepared.state());
    prepared.dispose();
    const folded = foldProbe(final); // a plain head, in evaluation mode
    tf.tidy(() => {
      const weight = tf.tensor2d(folded["head.weight"].data as Float32Array, [5, 16]);
      const x = tf.tensor2d(part(probe, "features", 0).data as Float32Array, [batchSize, 16]);
      const logits = tf.add(
        tf.matMul(x, weight, false, true),
        tf.tensor1d(folded["head.bias"].data as Float32Array),
      );
      expectClose(logits.dataSync(), probe.get("eval_logits_of_features0").data, {
        absolute: 1e-5,
      });
    });
  });

  it("normalises by the batch: mean 0 and variance 1 in each column", () => {
    tf.tidy(() => {
      const x = tf.tensor2d([1, 10, 3, 30, 5, 80], [3, 2]);
      const { normalized, mean, variance } = batchNorm(x, {
        mean: tf.tensor1d([1, 0]),
        variance: tf.tensor1d([2, 0]),
      });
      const [first] = normalized.dataSync();
      expectClose([first!], [-2 / Math.sqrt(8 / 3 + 1e-6)], { absolute: 1e-6 });
      expectClose(mean.dataSync(), [0.9 + 0.3, 4], { relative: 1e-6 });
      expectClose(variance.dataSync(), [1.8 + 0.4, 130], { relative: 1e-6 }); // unbiased: 4 and 1300
    });
  });

  it("normalises groups of the batch apart, and averages their statistics", () => {
    tf.tidy(() => {
      const x = tf.tensor2d([1, 3, 10, 30], [4, 1]); // means 2 and 20, variances 1 and 100
      const running = { mean: tf.tensor1d([0]), variance: tf.tensor1d([0]) };
      const { normalized, mean, variance } = batchNorm(x, running, 2);
      expectClose(normalized.dataSync(), [-1, 1, -1, 1], { absolute: 1e-5 });
      expectClose(mean.dataSync(), [0.1 * 11], { relative: 1e-6 });
      expectClose(variance.dataSync(), [0.1 * 101], { relative: 1e-6 }); // unbiased: 2 and 200
    });
  });
});
