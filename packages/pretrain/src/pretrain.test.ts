import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeSafetensors, loadCheckpoint } from "@dmae/checkpoint";
import { trainingState } from "@dmae/checkpoint/resume";
import { type Batch, type HostTensors, key, normal, uniform } from "@dmae/core";
import { batchLoader, synthetic } from "@dmae/datasets";
import { eagerExecutor, selectBackend, toTensors } from "@dmae/nn";
import { noiseKeys } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import type { DmaeOptions } from "./config.ts";
import { createDmae, type DmaeInputs } from "./dmae.ts";
import { pretrainInputs } from "./inputs.ts";
import { dmaeLoss } from "./loss.ts";
import { randomMasking, visiblePatches } from "./masking.ts";
import { type PretrainOptions, pretrain } from "./pretrain.ts";
import type { PretrainRecipe } from "./recipe.ts";
import { pretrainRecipes } from "./recipes.ts";
import { restoreTokens } from "./tokens.ts";

const scratch = temporaryFolders("dmae-pretrain");
const data = synthetic({ length: 48, key: key(1), imageShape: [12, 12, 1], numClasses: 3 });
const model: DmaeOptions = {
  ...{ width: 16, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
  ...{ imageSize: 16, inputSize: 12, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] },
};
const recipe: PretrainRecipe = {
  ...pretrainRecipes["dmae-vit-b-imagenet-pretrain"],
  model,
  epochs: 3,
  warmupEpochs: 1,
  batchSize: 8,
  accumulate: 2,
  baseLearningRate: 0.05,
  augmentation: null,
};
const run = (change: Partial<PretrainRecipe> = {}, options: Partial<PretrainOptions> = {}) =>
  pretrain({ ...recipe, ...change }, data, {
    executor: eagerExecutor(),
    seed: 7,
    ...options,
  });
const values = (params: HostTensors) =>
  Object.values(params).flatMap((tensor) => Array.from(tensor.data));

beforeAll(() => selectBackend("wasm"));

describe("pretrain", () => {
  it("learns to reconstruct", async () => {
    await expectNoLeak(async () => {
      const losses: number[] = [];
      const result = await run(
        { epochs: 8 },
        { onProgress: ({ metrics }) => losses.push(metrics.loss!) },
      );
      const mean = (from: number) =>
        losses.slice(from, from + 6).reduce((sum, l) => sum + l, 0) / 6;
      expect(losses).toHaveLength(48);
      expect(mean(42)).toBeLessThan(0.9 * mean(0));
      expect(result.dmae.config.sigma).toBe(0.25);
    });
  });

  it("leaves a folder with log, checkpoints and a model of official names, and resumes from it", async () => {
    const folder = scratch();
    const whole = await run();
    const controller = new AbortController();
    const stopped = run(
      {},
      {
        folder,
        signal: controller.signal,
        onProgress: ({ step }) => step === 7 && controller.abort(new Error("enough")),
      },
    );
    await expect(stopped).rejects.toThrow("enough");
    const resumed = await run({}, { folder, keepEveryEpochs: 2 });
    expect(resumed.resumedFrom).toBe(7);
    expect(values(resumed.params)).toEqual(values(whole.params));
    expect(readdirSync(folder).sort()).toEqual([
      "last.safetensors",
      "log.jsonl",
      "model.safetensors",
      "run.json",
      "step-12.safetensors",
    ]);
    const model = decodeSafetensors(readFileSync(join(folder, "model.safetensors")));
    expect(Object.keys(model.tensors).sort()).toEqual(Object.keys(whole.params).sort());
    expect(JSON.parse(model.metadata.recipe!)).toEqual({ ...recipe, model: whole.dmae.config });
    await expect(run({ sigma: 0.5 }, { folder })).rejects.toThrow(
      "recipe.recipe.sigma: 0.25 there, 0.5 now",
    );
  });

  it("leaves checkpoints that say all of a run, wherever they are copied to", async () => {
    const folder = scratch();
    const open = async (name: string) => {
      const checkpoint = await loadCheckpoint(join(folder, name, "last.safetensors"));
      const state = await trainingState(checkpoint);
      await checkpoint.close();
      return state;
    };
    const { params } = await run({ epochs: 1 }, { folder: join(folder, "a") });
    const first = await open("a");
    expect(first.params).toEqual(params);
    expect(first.step).toBe(6);
    expect(first.run).toMatchObject({ task: "pretrain", key: { ...key(7) }, stepsPerEpoch: 6 });
    expect(first.run).toMatchObject({ recipe: { ...recipe, epochs: 1 } });
    const slots = (slot: string) => Object.keys(params).map((name) => `${slot}.${name}`);
    const trained = [...slots("exp_avg"), ...slots("exp_avg_sq")].filter(
      (name) => !name.endsWith("pos_embed"),
    );
    expect(Object.keys(first.optimizer).sort()).toEqual(trained.sort());
    expect(Object.keys(first.gradients).length).toBe(trained.length / 2);
    const initialOptimizer = { tensors: first.optimizer, step: 3 };
    const options = { folder: join(folder, "b"), initialParams: first.params, initialOptimizer };
    await run({ epochs: 1 }, options);
    expect((await open("b")).run).toMatchObject({ updateOffset: 3 });
  });

  it("does the same from a batch loader that draws the noise ahead", async () => {
    const loader = batchLoader(data, {
      batchSize: 8,
      dropLast: true,
      shuffle: true,
      key: key(99),
      noiseKeys: noiseKeys(key(7), 1),
    });
    const plain = batchLoader(data, { batchSize: 8, dropLast: true, shuffle: true, key: key(99) });
    const options = { executor: eagerExecutor(), seed: 7 };
    const a = await pretrain(recipe, loader, options);
    const b = await pretrain(recipe, plain, options);
    expect(values(a.params)).toEqual(values(b.params));
    await Promise.all([loader.close(), plain.close()]);
  });

  it("goes on from given parameters, and from an optimizer's state", async () => {
    const first = await run({ epochs: 1 });
    const folder = scratch();
    await run({ epochs: 1 }, { folder, initialParams: first.params });
    const begun = createDmae({ ...model }).initHost(key(5));
    await expect(run({ epochs: 1 }, { folder, initialParams: begun })).rejects.toThrow(
      "recipe.pretrained: ",
    );
    const warm = await run({ epochs: 1, baseLearningRate: 0 }, { initialParams: first.params });
    for (const [name, { data }] of Object.entries(warm.params)) // no learning rate, no decay
      expect(data).toEqual(first.params[name]!.data);
    const { "decoder_pred.bias": _, ...rest } = first.params;
    await expect(run({}, { initialParams: rest })).rejects.toThrow(
      "these differ: decoder_pred.bias",
    );
    await expect(
      run({}, { initialParams: first.params, initialOptimizer: { tensors: {}, step: 3 } }),
    ).rejects.toThrow("initState: the optimizer state must have the names and shapes");
  });

  it("names what does not fit", async () => {
    await expect(run({ epochs: 0 })).rejects.toThrow("pretrain: epochs must be a positive integer");
    await expect(run({ model: { ...model, inputSize: 16 } })).rejects.toThrow(
      "pretrain: images must be [16,16,1], got [12,12,1]; load them in that size",
    );
    await expect(run({ model: { ...model, sigma: 0.5 } })).rejects.toThrow(
      "pretrain: sigma of the model must be the recipe's, 0.25, got 0.5",
    );
  });
});

describe("the checks of pretrain", () => {
  it("saves after each step at least, whatever the share of an epoch", async () => {
    const folder = scratch();
    const saved: boolean[] = [];
    await run(
      { epochs: 1 },
      {
        folder,
        checkpointEveryEpochs: 0.05, // of 6 steps
        keepEveryEpochs: 0.01,
        onProgress: () => saved.push(existsSync(join(folder, "last.safetensors"))),
      },
    );
    expect(saved).toEqual([false, true, true, true, true, true]); // told before the step is saved
    const kept = readdirSync(folder).filter((name) => name.startsWith("step-"));
    expect(kept.sort()).toEqual([1, 2, 3, 4, 5, 6].map((step) => `step-${step}.safetensors`));
  });

  it("names intervals that would save nothing", async () => {
    for (const name of ["checkpointEveryEpochs", "keepEveryEpochs"])
      for (const value of [0, -1, Number.NaN])
        await expect(run({}, { [name]: value })).rejects.toThrow(
          `pretrain: ${name} must be a positive number of epochs, got ${value}`,
        );
    await expect(run({}, { logEvery: 0 })).rejects.toThrow("fit: logEvery must be a positive");
  });

  it("names batches of another size than the recipe's", async () => {
    const options = { batchSize: 11, dropLast: true, shuffle: true, key: key(9) };
    const loader = batchLoader(data, options);
    const made = pretrain(recipe, loader, { executor: eagerExecutor(), seed: 7 });
    await expect(made).rejects.toThrow(
      "pretrain: the batches of the source must hold the batchSize of the recipe, 8 images, got 11",
    );
    await loader.close();
  });

  it("names what is no recipe, no transform and no count of updates", async () => {
    const options = { executor: eagerExecutor(), seed: 7 };
    const missing = pretrainRecipes["dmae" as never] as PretrainRecipe;
    await expect(pretrain(missing, data, options)).rejects.toThrow(
      "pretrain: the recipe must be an object, e.g. pretrainRecipes[",
    );
    await expect(run({ normPixLoss: "no" as never })).rejects.toThrow(
      'pretrain: normPixLoss must be true or false, got "no"',
    );
    await expect(run({ model: { ...model, imageSize: 12, patchSize: 1 } })).rejects.toThrow(
      "pretrain: normPixLoss needs patches of 2 values or more, got patchSize 1 of 1 channel",
    );
    const orphan = { initialOptimizer: { tensors: {}, step: 1 } };
    await expect(run({}, orphan)).rejects.toThrow(
      "pretrain: initialOptimizer belongs to initialParams, which are missing",
    );
    for (const step of [-1, Number.NaN])
      await expect(
        run({}, { initialParams: {}, initialOptimizer: { tensors: {}, step } }),
      ).rejects.toThrow(
        `pretrain: initialOptimizer.step must be the number of updates made, got ${step}`,
      );
  });
});

describe("pretrainInputs", () => {
  const batchOf = (indices: number[]): Batch => ({
    images: new Float32Array(indices.length * 144),
    labels: new Int32Array(indices.length),
    indices: Int32Array.from(indices),
    size: indices.length,
    imageShape: [12, 12, 1],
  });

  it("draws noise and masks by key, epoch and image, whatever batch the image is in", () => {
    const options = { key: key(2), epoch: 3, length: 16, maskRatio: 0.75 };
    const many = pretrainInputs(batchOf([5, 8, 11]), options);
    const one = pretrainInputs(batchOf([8]), options);
    expect(one.noise!.data).toEqual(many.noise!.data.subarray(144, 288));
    expect(one.idsRestore!.data).toEqual(many.idsRestore!.data.subarray(16, 32));
    const later = pretrainInputs(batchOf([8]), { ...options, epoch: 4 });
    expect(later.noise!.data).not.toEqual(one.noise!.data);
    expect(later.idsRestore!.data).not.toEqual(one.idsRestore!.data);
  });
});

describe("randomMasking", () => {
  it("keeps the smallest, in their order", () => {
    const { idsKeep, idsRestore, mask } = randomMasking(Float64Array.of(0.4, 0.1, 0.9, 0.2), {
      length: 4,
      maskRatio: 0.5,
    });
    expect(Array.from(idsKeep.data)).toEqual([1, 3]);
    expect(Array.from(idsRestore.data)).toEqual([2, 0, 3, 1]);
    expect(Array.from(mask.data)).toEqual([1, 0, 1, 0]);
  });

  it("hides each patch with the mask ratio", () => {
    const rows = 2000;
    const noise = uniform(key(5), new Float64Array(rows * 8));
    const { mask } = randomMasking(noise, { length: 8, maskRatio: 0.75 });
    for (let patch = 0; patch < 8; patch++) {
      let hidden = 0;
      for (let row = 0; row < rows; row++) hidden += mask.data[row * 8 + patch]!;
      expectClose([hidden / rows], [0.75], { absolute: 0.04 }); // four standard deviations
    }
  });

  it("counts as the official code, int(L (1 - ratio)), and names bad ratios", () => {
    expect([visiblePatches(196, 0.75), visiblePatches(16, 0.6), visiblePatches(16, 0.9)]).toEqual([
      49, 6, 1,
    ]);
    expect(() => visiblePatches(16, 1)).toThrow(
      "randomMasking: maskRatio must lie in [0, 1), got 1",
    );
    expect(() => visiblePatches(4, 0.9)).toThrow("leaves none of 4 patches visible");
    expect(() => randomMasking(new Float32Array(5), { length: 4, maskRatio: 0.5 })).toThrow(
      "got 5",
    );
  });
});

describe.each(["cpu", "wasm"])("pieces on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  it("puts tokens back in their places, with gradients that differences confirm", () => {
    tf.tidy(() => {
      const { idsKeep, idsRestore, mask } = toTensors(
        randomMasking(Float64Array.of(0.4, 0.1, 0.9, 0.2, 0.3, 0.8, 0.6, 0.7), {
          length: 4,
          maskRatio: 0.5,
        }),
      );
      const ids = { idsKeep: idsKeep!, idsRestore: idsRestore!, mask: mask! };
      const visible = tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
      const token = tf.tensor3d([-1, -2], [1, 1, 2]);
      const weights = tf.tensor3d(normal(key(4), 16), [2, 4, 2]);
      const restored = restoreTokens(visible, token, ids);
      expectClose(restored.dataSync(), [-1, -2, 1, 2, -1, -2, 3, 4, 5, 6, -1, -2, 7, 8, -1, -2]);
      const objective = (v: tf.Tensor, t: tf.Tensor) =>
        tf.sum(tf.mul(restoreTokens(v, t, ids), weights));
      const [dVisible, dToken] = tf.grads((v: tf.Tensor, t: tf.Tensor) => objective(v, t))([
        visible,
        token,
      ]);
      const w = weights.dataSync();
      expectClose(
        dVisible!.dataSync(),
        [2, 3, 6, 7, 8, 9, 12, 13].map((i) => w[i]!),
      );
      expectClose(
        dToken!.dataSync(),
        [0, 1].map((i) => w[i]! + w[4 + i]! + w[10 + i]! + w[14 + i]!),
        { absolute: 1e-6 },
      );
    });
  });

  it("compares all patches, or the hidden ones", () => {
    tf.tidy(() => {
      // two patches of two pixels: errors 1, 1 in the visible one, 3, 1 in the hidden one
      const images = tf.tensor4d([0, 1, 2, 3], [1, 1, 4, 1]);
      const prediction = tf.tensor3d([1, 2, 5, 4], [1, 2, 2]);
      const rows = (x: tf.Tensor4D) => tf.concat([x, x], 1) as tf.Tensor4D; // patches are 2 x 2
      const doubled = tf.concat([prediction, prediction], 2);
      const mask = tf.tensor2d([0, 1], [1, 2]);
      const all = dmaeLoss(doubled, rows(images), { patchSize: 2 });
      const hidden = dmaeLoss(doubled, rows(images), { patchSize: 2, region: "masked", mask });
      expectClose(all.dataSync(), [(1 + 1 + 9 + 1) / 4]);
      expectClose(hidden.dataSync(), [5]);
      expect(() => dmaeLoss(doubled, rows(images), { patchSize: 2, region: "masked" })).toThrow(
        "needs the mask",
      );
    });
  });

  it("leaves no tensor behind and names inputs of a wrong shape", async () => {
    const dmae = createDmae(model);
    const params = dmae.init(key(1));
    const inputs = toTensors({
      images: { dtype: "float32", shape: [2, 12, 12, 1], data: new Float32Array(288) },
      noise: { dtype: "float32", shape: [2, 12, 12, 1], data: new Float32Array(288) },
      ...randomMasking(uniform(key(3), 32), { length: 16, maskRatio: 0.5 }),
    }) as unknown as DmaeInputs;
    await expectNoLeak(() =>
      tf.dispose(dmae.apply(params, inputs) as unknown as tf.TensorContainer),
    );
    await expectNoLeak(() => dmae.loss(params, inputs).dispose());
    expect(() => dmae.apply(params, { ...inputs, noise: inputs.mask })).toThrow(
      "apply: noise must be [2,12,12,1], got [2,16]",
    );
    tf.dispose([params, inputs as unknown as tf.TensorContainer]);
  });

  it("is MAE without noise: the encoder sees the clean image", () => {
    tf.tidy(() => {
      const mae = createDmae(model, { sigma: 0 });
      const noisy = createDmae(model, { sigma: 0.5 });
      const params = mae.init(key(1));
      const image = uniform(key(8), 144);
      const inputs = toTensors({
        images: { dtype: "float32", shape: [1, 12, 12, 1], data: image },
        noise: { dtype: "float32", shape: [1, 12, 12, 1], data: normal(key(9), 144) },
        ...randomMasking(uniform(key(3), 16), { length: 16, maskRatio: 0.5 }),
      }) as unknown as DmaeInputs;
      const clean = mae.apply(params, inputs);
      expectClose(clean.noisy.dataSync(), clean.clean.dataSync());
      const other = noisy.apply(params, inputs);
      expectClose(other.clean.dataSync(), clean.clean.dataSync());
      expect(other.noisy.dataSync()).not.toEqual(clean.noisy.dataSync());
    });
  });
});

it("names configurations that cannot be", () => {
  const model = { width: 16, depth: 1, heads: 2 };
  expect(() => createDmae(model, { decoderHeads: 3 })).toThrow(
    "createDmae: decoderWidth must be a multiple of decoderHeads and of 4, got 512 and 3 heads",
  );
  expect(() => createDmae(model, { decoderDepth: 0 })).toThrow(
    "decoderDepth must be a positive integer, got 0",
  );
  expect(() => createDmae(model, { sigma: Number.NaN })).toThrow(
    "sigma must be a number, 0 or more, got NaN",
  );
});
