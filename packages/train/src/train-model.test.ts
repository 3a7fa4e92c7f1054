import "@tensorflow/tfjs-backend-cpu";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type HostTensor, type ImageDataset, key } from "@dmae/core";
import { batchLoader, synthetic } from "@dmae/datasets";
import { randomHorizontalFlip } from "@dmae/datasets/transforms";
import { eagerExecutor, selectBackend, type Tensors } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { batchNoise, noiseKeys } from "./noise.ts";
import { openImages } from "./open-images.ts";
import { sgd } from "./sgd.ts";
import { type TrainingTask, trainModel } from "./train-model.ts";

const scratch = temporaryFolders("dmae-train-model");
const data = synthetic({ length: 22, key: key(1), imageShape: [4, 4, 1], numClasses: 3 });
const recipe = {
  ...{ epochs: 2, warmupEpochs: 0, batchSize: 5, accumulate: 1 },
  ...{ baseLearningRate: 5, minLearningRate: 0, augmentation: null },
};
const zeros = (...shape: number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data: new Float32Array(shape.reduce((product, side) => product * side, 1)),
});

/** Least squares on noisy pixels, with a running count of steps as a buffer. */
const task: TrainingTask = {
  caller: "leastSquares",
  task: "least-squares",
  recipe,
  images: { imageShape: [4, 4, 1], numClasses: 3 },
  objective: {
    loss: (params: Tensors, batch: Tensors) => ({
      loss: tf.mean(tf.squaredDifference(linear(batch.x!, params.w!, params.b!), batch.y!)),
      updates: { steps: tf.add(params.steps!, 1) },
    }),
    inputs(batch, { key: root, epoch }) {
      const noise = batchNoise(batch, noiseKeys(root, 1)(epoch));
      const noisy = batch.images.map((value, i) => value + 0.1 * noise[i]!);
      return {
        x: { dtype: "float32", shape: [batch.size, 16], data: noisy },
        y: { dtype: "float32", shape: [batch.size, 1], data: Float32Array.from(batch.labels) },
      };
    },
  },
  params: { w: zeros(1, 16), b: zeros(1), steps: zeros(1) },
  trainable: ["w", "b"],
  buffers: ["steps"],
  optimizer: sgd({ momentum: 0.9 }),
  emaDecay: 0.5,
};
const executor = eagerExecutor();

beforeAll(() => selectBackend("cpu"));

describe("trainModel", () => {
  it("trains, carries buffers along, averages, and resumes to the bit", async () => {
    const losses: number[] = [];
    const whole = await trainModel(task, data, {
      executor,
      onProgress: ({ metrics }) => losses.push(metrics.loss!),
    });
    expect(losses).toHaveLength(8);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(whole.params.steps!.data[0]).toBe(8);
    expect(Object.keys(whole.averaged!)).toEqual(["w", "b", "steps"]);
    expect(whole.averaged!.steps!.data[0]).toBe(7 + 2 ** -8); // the average of 1 … 8, from 0
    const folder = scratch();
    const stop = new AbortController();
    const stopped = trainModel(task, data, {
      ...{ executor, folder, signal: stop.signal },
      onProgress: ({ step }) => step === 3 && stop.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    const resumed = await trainModel(task, data, { executor, folder });
    expect(resumed.resumedFrom).toBe(3);
    expect([resumed.params, resumed.averaged]).toEqual([whole.params, whole.averaged]);
    const run = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    expect(run.recipe).toEqual({
      ...{ task: "least-squares", data: data.name },
      ...{ recipe, key: { ...key(0) }, stepsPerEpoch: 4 },
    });
    await expect(trainModel(task, data, { executor, folder, seed: 1 })).rejects.toThrow(
      "seed (recipe.key.low): 0 there, 1 now",
    );
  });

  it("takes a schedule of its own, and a key in place of a seed", async () => {
    const still = await trainModel({ ...task, schedule: () => 0 }, data, { executor });
    expect(Array.from(still.params.w!.data)).toEqual(Array(16).fill(0));
    const [a, b] = await Promise.all(
      [7, key(7)].map((seed) => trainModel(task, data, { executor, seed })),
    );
    expect(a!.params).toEqual(b!.params);
  });
});

describe("openImages", () => {
  const open = (change: Partial<Parameters<typeof openImages>[1]> = {}, from = data as never) =>
    openImages(from, { ...task, key: key(2), copies: 1, ...change });

  it("gives whole batches, each image at most once an epoch, whenever it is asked", async () => {
    const source = open();
    expect(source.stepsPerEpoch).toBe(4);
    const epoch = async (first: number) => {
      const batches = await Promise.all([0, 1, 2, 3].map((i) => source.at(first + i)));
      return batches.flatMap((batch) => Array.from(batch.indices));
    };
    const [first, second] = [await epoch(0), await epoch(4)];
    expect(new Set(first).size).toBe(20);
    expect(second).not.toEqual(first);
    expect(await epoch(0)).toEqual(first);
    await source.close();
  });

  it("augments as the recipe says: a flip of probability 1 mirrors every image", async () => {
    const augmentation = { resizedCropScale: null, horizontalFlip: 1 };
    const [plain, flipped] = [open(), open({ recipe: { ...recipe, augmentation } })];
    const [a, b] = await Promise.all([plain.at(0), flipped.at(0)]);
    const mirrored = a.images.map((_, i) => a.images[i - (i % 4) + 3 - (i % 4)]!);
    expect(b.images).toEqual(mirrored);
    expect(a.images).not.toEqual(b.images);
    await Promise.all([plain.close(), flipped.close()]);
  });

  it("refuses a loader that augments in another way than the recipe records", async () => {
    const options = { batchSize: 5, dropLast: true, key: key(3) };
    const flips = batchLoader(data, { ...options, transform: [randomHorizontalFlip(0.5)] });
    const plain = batchLoader(data, options);
    const unknown = batchLoader(data, { ...options, transform: (image) => image });
    const half = { ...recipe, augmentation: { resizedCropScale: null, horizontalFlip: 0.5 } };
    expect(() => open({ recipe: half }, flips as never)).not.toThrow();
    expect(() => open({}, plain as never)).not.toThrow();
    const flip = '[{"op":"randomHorizontalFlip","probability":0.5}]';
    expect(() => open({}, flips as never)).toThrow(
      `leastSquares: the batches must be augmented as the recipe says, not at all, got ${flip}`,
    );
    for (const source of [plain, unknown])
      expect(() => open({ recipe: half }, source as never)).toThrow(`${flip}, got not at all`);
    await Promise.all([flips, plain, unknown].map((loader) => loader.close()));
  });

  it("names images, classes, batches and labels that do not fit", async () => {
    expect(() => open({ images: { imageShape: [8, 8, 1] } })).toThrow(
      "leastSquares: images must be [8,8,1], got [4,4,1]; load them in that size, " +
        "e.g. loadImageFolder(folder, { size: 8 })",
    );
    expect(() => open({ images: { imageShape: [4, 4, 1], numClasses: 10 } })).toThrow(
      `numClasses of the model must be the 3 of ${data.name}, got 10`,
    );
    const loader = batchLoader(data, { batchSize: 4, dropLast: true });
    expect(() => open({}, loader as never)).toThrow(
      "the batches of the source must hold the batchSize of the recipe, 5 images, got 4",
    );
    await loader.close();
    const ragged = batchLoader(data, { batchSize: 5 });
    expect(() => open({}, ragged as never)).toThrow(
      "the last batch of an epoch must hold the batchSize of the recipe, 5 images, got 2",
    );
    const silent = { ...ragged, batchSize: undefined, lastBatchSize: undefined };
    await expect(open({}, silent as never).at(4)).rejects.toThrow(
      "batch 4 must hold the batchSize of the recipe, 5 images, got 2",
    );
    for (const option of [{ workers: 2 }, { onCorrupt: () => {} }])
      expect(() => open(option, silent as never)).toThrow(
        `${Object.keys(option)} is for data sets; a batch source has its own`,
      );
    for (const label of [Number.NaN, 1.5, undefined as unknown as number, 2 ** 31, -1, 3]) {
      const odd: ImageDataset = {
        ...{ length: 22, imageShape: [4, 4, 1], numClasses: 3 },
        get: async (index) => ({ ...(await data.get(index)), label }),
      };
      await expect(open({}, odd as never).at(0)).rejects.toThrow(
        new RegExp(
          `leastSquares: the label of image \\d+ must be an integer in \\[0, 3\\), got ${label}$`,
        ),
      );
      const { numClasses: _, ...unlabelled } = task.images;
      expect((await open({ images: unlabelled }, odd as never).at(0)).size).toBe(5);
    }
    const read = { ...data, pixels: undefined }; // a field that is undefined is none: images come from get
    expect((await open({}, read as never).at(0)).size).toBe(5);
    const far = batchLoader(data, { batchSize: 5, dropLast: true });
    const at = async (step: number) => ({
      ...(await far.at(step)),
      labels: Int32Array.of(0, 1, 2, 3, 0),
    });
    await expect(open({}, { ...far, at } as never).at(1)).rejects.toThrow(
      "leastSquares: the label of image 8 must be an integer in [0, 3), got 3",
    );
    await far.close();
  });

  it("takes any object with length, imageShape, numClasses and get: a class without a name", async () => {
    class Images implements ImageDataset {
      get length() {
        return 22;
      }
      get imageShape() {
        return [4, 4, 1] as const;
      }
      get numClasses() {
        return 3;
      }
      get(index: number) {
        return data.get(index);
      }
    }
    const [own, known] = [open({}, new Images() as never), open()];
    expect([await own.at(0), own.stepsPerEpoch]).toEqual([await known.at(0), 4]);
    expect(() =>
      open({ images: { imageShape: [4, 4, 1], numClasses: 10 } }, new Images() as never),
    ).toThrow("numClasses of the model must be the 3 of the data set, got 10");
    const trained = await trainModel(task, new Images(), { executor });
    expect(trained.step).toBe(8);
  });
});
