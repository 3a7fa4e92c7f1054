import "@tensorflow/tfjs-backend-cpu";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeSafetensors } from "@dmae/checkpoint";
import { type HostTensor, key } from "@dmae/core";
import { batchLoader, synthetic } from "@dmae/datasets";
import { eagerExecutor, selectBackend, type Tensors } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { localWorlds } from "../../../testing/worlds.ts";
import { adamw } from "./adamw.ts";
import { batchNoise, noiseKeys } from "./noise.ts";
import {
  type TrainedModel,
  type TrainingOptions,
  type TrainingTask,
  trainModel,
} from "./train-model.ts";

const scratch = temporaryFolders("dmae-ranks");
const data = synthetic({ length: 42, key: key(1), imageShape: [4, 4, 1], numClasses: 3 });
const recipe = {
  ...{ epochs: 2, warmupEpochs: 0, batchSize: 10, accumulate: 3 },
  ...{ baseLearningRate: 0.5, minLearningRate: 0, augmentation: null },
};
const tensor = (...data: number[]): HostTensor => ({
  dtype: "float32",
  shape: [data.length],
  data: Float32Array.from(data),
});

/** Least squares on noisy pixels, with the running mean of the targets as a buffer. */
const task: TrainingTask = {
  caller: "leastSquares",
  task: "least-squares",
  recipe,
  images: { imageShape: [4, 4, 1], numClasses: 3 },
  objective: {
    loss: (params: Tensors, { x, y }: Tensors) => ({
      loss: tf.mean(tf.squaredDifference(linear(x!, params.w!, params.b!), y!)),
      metrics: { error: tf.mean(tf.abs(tf.sub(linear(x!, params.w!, params.b!), y!))) },
      updates: {
        mean: tf.add(tf.mul(params.mean!, 0.9), tf.mul(tf.reshape(tf.mean(y!), [1]), 0.1)),
      },
    }),
    inputs(batch, { key: root, epoch }) {
      const noise = batchNoise(batch, noiseKeys(root, 1)(epoch));
      return {
        x: {
          ...{ dtype: "float32", shape: [batch.size, 16] },
          data: batch.images.map((value, i) => value + 0.1 * noise[i]!),
        },
        y: { dtype: "float32", shape: [batch.size, 1], data: Float32Array.from(batch.labels) },
      };
    },
  },
  params: {
    w: { ...tensor(...new Array(16).fill(0.1)), shape: [1, 16] },
    b: tensor(0),
    mean: tensor(0),
  },
  trainable: ["w", "b"],
  buffers: ["mean"],
  optimizer: adamw(),
  emaDecay: 0.5,
  clipNorm: 1,
};
const executor = eagerExecutor();

beforeAll(() => selectBackend("cpu"));

const trainOn = async (
  size: number,
  options: TrainingOptions = {},
  change: (rank: number) => { task?: TrainingTask; options?: TrainingOptions } = () => ({}),
) => {
  const { worlds, aborted } = localWorlds(size);
  const settled = await Promise.allSettled(
    worlds.map((world) => {
      const own = change(world.rank);
      return trainModel(own.task ?? task, data, { executor, world, ...options, ...own.options });
    }),
  );
  return { settled, aborted };
};
const results = async (...given: Parameters<typeof trainOn>): Promise<TrainedModel[]> => {
  const { settled } = await trainOn(...given);
  return settled.map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value;
  });
};
const expectSame = (a: TrainedModel, b: TrainedModel) => {
  for (const part of ["params", "averaged"] as const)
    for (const [name, { data }] of Object.entries(b[part]!))
      expectClose(a[part]![name]!.data, data, { absolute: 1e-6 });
  for (const name of ["loss", "error"])
    expectClose([a.metrics[name]!], [b.metrics[name]!], { relative: 1e-5 });
};

describe("trainModel on several ranks", () => {
  it("gives the numbers of one process, on every rank, and keeps nothing", async () => {
    const [alone] = await results(1);
    await expectNoLeak(async () => {
      for (const size of [2, 3]) {
        const all = await results(size);
        for (const each of all) expectSame(each, alone!);
        for (const { params } of all) expect(params).toEqual(all[0]!.params);
      }
    });
  });

  it("takes batch sources, of which each rank has its rows", async () => {
    const [alone] = await results(1, { seed: 4 });
    const { worlds } = localWorlds(2);
    const root = key(4);
    const { foldIn } = await import("@dmae/core");
    const source = batchLoader(data, {
      ...{ batchSize: 10, shuffle: true, dropLast: true, key: foldIn(root, "data") },
      noiseKeys: noiseKeys(root, 1),
    });
    const all = await Promise.all(
      worlds.map((world) => trainModel(task, source, { executor, world, seed: 4 })),
    );
    await source.close();
    for (const each of all) expectSame(each, alone!);
  });

  it("is resumed by other numbers of ranks, also within a group of micro-batches", async () => {
    const [alone] = await results(1, { folder: scratch() });
    const folder = scratch();
    let from = 0;
    // of eight steps in groups of three and one: after 2 and 5
    for (const [size, until] of [
      [2, 2],
      [3, 5],
      [1, 8],
    ] as const) {
      const stop = new AbortController();
      const options = {
        ...{ folder, signal: stop.signal },
        onProgress: ({ step }: { step: number }) => {
          // the ranks agree on it in the step that follows
          if (step === (size === 1 ? until : until - 1) && until < 8)
            stop.abort(new Error("stopped"));
        },
      };
      const { settled, aborted } = await trainOn(size, options);
      expect(aborted).toEqual([]);
      if (until < 8) {
        const reasons = settled.map((each) => each.status === "rejected" && each.reason.message);
        expect(reasons).toEqual(new Array(size).fill("stopped"));
        from = until;
        continue;
      }
      const [last] = settled.map((each) => (each as PromiseFulfilledResult<TrainedModel>).value);
      expect(last!.resumedFrom).toBe(from);
      expectSame(last!, alone!);
    }
    const lines = readFileSync(join(folder, "log.jsonl"), "utf8").trim().split("\n");
    const steps = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "step");
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]); // by rank 0 alone
  });

  it("stops every rank where one is asked to", async () => {
    const stop = new AbortController();
    const { settled, aborted } = await trainOn(2, {}, (rank) =>
      rank === 0
        ? {}
        : { options: { signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) } },
    );
    expect(aborted).toEqual([]);
    expect(settled).toMatchObject([
      { status: "rejected", reason: { name: "AbortError" } },
      { status: "rejected", reason: { message: "enough" } },
    ]);
  });

  it.each([
    ["is stopped", 2],
    ["ends", 8],
  ])("leaves no rank alone with its checkpoint where the run %s", async (_, until) => {
    const folder = scratch();
    const last = () => {
      const { metadata } = decodeSafetensors(readFileSync(join(folder, "last.safetensors")));
      return Number(metadata.step);
    };
    const { worlds } = localWorlds(2);
    const found = await Promise.all(
      worlds.map(async (world) => {
        const stop = new AbortController();
        const onProgress = ({ step }: { step: number }) => {
          if (step === until - 1 && until < 8) stop.abort(new Error("stopped"));
        };
        const run = { executor, world, folder, signal: stop.signal, onProgress };
        await trainModel(task, data, run).catch(() => {});
        return [last(), existsSync(join(folder, "run.lock"))]; // at once: the process may exit here
      }),
    );
    expect(found).toEqual(new Array(2).fill([until, false]));
  });

  it("ends the job where one rank fails in the step in which they agree to stop", async () => {
    const { worlds, aborted } = localWorlds(2);
    const stop = new AbortController();
    const asked = { signal: stop.signal, onProgress: () => stop.abort(new Error("stopped")) };
    const onProgress = ({ step }: { step: number }) => {
      if (step === 2) throw new Error("no room for progress"); // the stop of rank 0 is agreed on in it
    };
    void trainModel(task, data, { executor, world: worlds[0]!, ...asked }); // waits for ever
    await expect(
      trainModel(task, data, { executor, world: worlds[1]!, onProgress }),
    ).rejects.toThrow("no room for progress");
    expect(aborted).toMatchObject([[1, { message: "no room for progress" }]]);
  });

  it("names what differs between ranks, and where, before it begins", async () => {
    const other = { ...task, recipe: { ...recipe, warmupEpochs: 1 } };
    const { aborted } = await trainOn(3, {}, (rank) => (rank === 2 ? { task: other } : {}));
    expect(aborted.map(([rank, error]) => [rank, (error as Error).message])).toContainEqual([
      0,
      "fit: every rank must run the same training, but these differ: recipe.recipe.warmupEpochs: 0 on rank 0, 1 on rank 2",
    ]);
    const params = { ...task.params, b: tensor(1) };
    const fresh = await trainOn(2, {}, (rank) => (rank === 1 ? { task: { ...task, params } } : {}));
    expect((fresh.aborted[0]![1] as Error).message).toMatch(
      /these differ: parameters: .+ on rank 1$/,
    );
  });

  it("ends the job where one rank's loss is not finite, and says which step", async () => {
    const { worlds, aborted } = localWorlds(2);
    const { loss } = task.objective;
    const bad: TrainingTask["objective"] = {
      ...task.objective,
      loss: (params, batch) => ({
        ...loss(params, batch),
        loss: tf.mul(loss(params, batch).loss, Number.NaN),
      }),
    };
    void trainModel(task, data, { executor, world: worlds[0]! }); // waits for ever
    await expect(
      trainModel({ ...task, objective: bad }, data, { executor, world: worlds[1]! }),
    ).rejects.toThrow("fit: loss must be finite, got NaN in step 0");
    expect(aborted).toHaveLength(1);
    expect(aborted[0]![0]).toBe(1);
  });

  it("refuses an executor that cannot part a step", async () => {
    const { prepareSteps: _, ...plain } = executor;
    const { aborted } = await trainOn(2, { executor: plain });
    expect((aborted[0]![1] as Error).message).toContain(
      "fit: training on 2 ranks needs an executor with prepareSteps",
    );
  });
});
