import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeSafetensors } from "@dmae/checkpoint";
import { type HostTensors, type ImageDataset, key } from "@dmae/core";
import { batchLoader, synthetic } from "@dmae/datasets";
import { type Executor, eagerExecutor, selectBackend } from "@dmae/nn";
import { zeros } from "@dmae/nn/layers";
import { createDmae } from "@dmae/pretrain";
import { createViT, type ViTOptions } from "@dmae/vit";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { linearProbeRecipe } from "./build-recipe.ts";
import { type EvaluateOptions, evaluate, prepareEvaluation } from "./evaluate.ts";
import type { FinetuneEvaluation } from "./evaluate-training.ts";
import { type LinearProbeOptions, linearProbe } from "./linear-probe.ts";
import type { LinearProbeRecipe } from "./probe-recipe.ts";
import type { FinetuneRecipe } from "./recipe.ts";
import { finetuneRecipes, linearProbeRecipes } from "./recipes.ts";
import { type RobustFinetuneOptions, robustFinetune } from "./robust-finetune.ts";

const scratch = temporaryFolders("dmae-finetune");
const shape = { imageShape: [12, 12, 1], numClasses: 3, key: key(1) } as const;
const data = synthetic({ ...shape, length: 96 });
const test = synthetic({ ...shape, length: 40, split: "test" });
const model: ViTOptions = {
  ...{ width: 16, depth: 2, heads: 2 },
  ...{ imageSize: 16, inputSize: 12, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] },
  numClasses: 3,
};
const decoder = { decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
const encoder = createDmae({ ...model, ...decoder }).initHost(key(2));
const recipe: FinetuneRecipe = {
  ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"],
  model,
  sigma: [0.1, 0.2],
  dropPath: 0.1,
  epochs: 2,
  warmupEpochs: 1,
  batchSize: 8,
  accumulate: 2,
  baseLearningRate: 0.05,
  augmentation: null,
};
const plain: FinetuneRecipe = {
  ...recipe,
  method: { name: "gaussian" },
  sigma: 0.1,
  mixup: 0,
  cutmix: 0,
  dropPath: 0,
  accumulate: 1,
};
const probeRecipe: LinearProbeRecipe = {
  ...linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"],
  model: { ...model, globalPool: false },
  epochs: 2,
  warmupEpochs: 0,
  batchSize: 8,
  accumulate: 2,
  baseLearningRate: 200, // an effective batch of 16 and LARS leave little of it
  augmentation: null,
};
const finetune = (
  change: Partial<FinetuneRecipe> = {},
  options: Partial<RobustFinetuneOptions> = {},
) =>
  robustFinetune({ ...recipe, ...change }, data, {
    executor: eagerExecutor(),
    seed: 3,
    pretrained: encoder,
    ...options,
  });
const probe = (
  change: Partial<LinearProbeRecipe> = {},
  options: Partial<LinearProbeOptions> = {},
) =>
  linearProbe({ ...probeRecipe, ...change }, data, {
    executor: eagerExecutor(),
    seed: 3,
    pretrained: encoder,
    ...options,
  });
const values = (params: HostTensors) =>
  Object.values(params).flatMap((tensor) => Array.from(tensor.data));

beforeAll(() => selectBackend("wasm"));

describe("robustFinetune", () => {
  it("learns classes under noise", async () => {
    await expectNoLeak(async () => {
      const { model, params } = await finetune({ ...plain, epochs: 8 });
      const { accuracy } = await evaluate(model, params, test, {
        executor: eagerExecutor(),
        sigma: 0.1,
        seed: 5,
        samples: 3,
      });
      expect(accuracy).toBeGreaterThan(0.7);
    });
  });

  it("says what it loaded, created and ignored", async () => {
    const { report, params, model } = await finetune({ epochs: 1, baseLearningRate: 0 });
    expect(report!.created).toEqual(["head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"]);
    expect(report!.loaded).toContain("blocks.1.mlp.fc2.bias");
    expect(report!.ignored).toContain("norm.weight");
    expect(report!.ignored).toContain("decoder_pred.bias");
    expect(Object.keys(params)).toEqual(Object.keys(model.initHost(key(0))));
    for (const name of report!.loaded)
      expectClose(params[name]!.data, encoder[name]!.data, { absolute: 1e-4 }); // min_lr is not 0
    expect(
      (await finetune({ epochs: 1 }, { pretrained: undefined as never })).report,
    ).toBeUndefined();
  });

  it("repeats itself to the bit, resumed or not, with everything on", async () => {
    const folder = scratch();
    const whole = await finetune();
    expect(Object.keys(whole.metrics)).toEqual(["loss", "trainLoss", "consistency", "accuracy"]);
    const controller = new AbortController();
    const evaluation = { dataset: test, limit: 16 };
    const stopped = finetune(
      {},
      {
        folder,
        evaluation,
        signal: controller.signal,
        onProgress: ({ step }) => step === 13 && controller.abort(new Error("enough")),
      },
    );
    await expect(stopped).rejects.toThrow("enough");
    const heard: number[] = [];
    const resumed = await finetune(
      { model: createViT(model) }, // the same as its configuration
      {
        folder,
        evaluation,
        onEvaluation: ({ accuracy }, step) => heard.push(step, accuracy!),
      },
    );
    expect(resumed.resumedFrom).toBe(13);
    expect(values(resumed.params)).toEqual(values(whole.params));
    expect(heard[0]).toBe(24);
    expect(readdirSync(folder).sort()).toEqual([
      "best.safetensors",
      "last.safetensors",
      "log.jsonl",
      "model.safetensors",
      "run.json",
    ]);
    const { tensors } = decodeSafetensors(readFileSync(join(folder, "model.safetensors")));
    expect(tensors["head.weight"]!.data).toEqual(whole.params["head.weight"]!.data);
    await expect(finetune({ model: { ...model, epsilon: 1e-5 } }, { folder })).rejects.toThrow(
      "belongs to a run with other settings (recipe.recipe.model.epsilon: 0.000001 there, 0.00001 now)",
    );
    const other = createDmae({ ...model, ...decoder }).initHost(key(9));
    await expect(finetune({}, { folder, pretrained: other })).rejects.toThrow(
      /belongs to a run with other settings \(recipe.pretrained: "[0-9a-f]{16}" there, "[0-9a-f]{16}" now\)/,
    );
    await expect(probe({}, { folder })).rejects.toThrow(
      'holds another kind of run ("robust-finetune" there, "linear-probe" now); give each training a folder of its own',
    );
  });

  it("names what does not fit", async () => {
    await expect(finetune({ model: { ...model, numClasses: 4 } })).rejects.toThrow(
      "robustFinetune: numClasses of the model must be the 3 of",
    );
    await expect(finetune({ model: createViT(model, { width: 8 }) })).rejects.toThrow(
      "fromPretrained: the checkpoint does not fit the model",
    );
  });
});

describe.each([
  ["robustFinetune", finetune, robustFinetune],
  ["linearProbe", probe, linearProbe],
] as const)("the checks of %s", (caller, made, train) => {
  const options = { executor: eagerExecutor(), seed: 3, pretrained: encoder };

  it("name evaluations that would measure nothing", async () => {
    const other = synthetic({ ...shape, length: 4, numClasses: 100 });
    const large = synthetic({ ...shape, length: 4, imageShape: [20, 20, 1] });
    const wrong: [Partial<FinetuneEvaluation>, string][] = [
      [{ dataset: undefined as never }, "evaluation: the data set must be one, e.g."],
      [{ limit: 0 }, "evaluation: limit must be a positive integer; leave it out for all images"],
      [{ limit: Number.NaN }, "evaluation: limit must be a positive integer"],
      [{ sigma: Number.NaN }, "evaluation: sigma must be a number, 0 or more, got NaN"],
      [{ sigma: -1 }, "evaluation: sigma must be a number, 0 or more, got -1"],
      [{ dataset: other }, "must be the 3 of the classifier, got 100"],
      [{ dataset: large }, "evaluation: images must be [12,12,1], got [20,20,1]"],
      [{ everyEpochs: Number.NaN }, "evaluation.everyEpochs must be a positive number of epochs"],
      [{ everyEpochs: 0 }, "evaluation.everyEpochs must be a positive number of epochs, got 0"],
    ];
    let steps = 0;
    for (const [change, message] of wrong) {
      const evaluation = { dataset: test, ...change };
      const run = made({}, { evaluation, onProgress: () => steps++ });
      await expect(run).rejects.toThrow(`${caller}: `);
      await expect(made({}, { evaluation })).rejects.toThrow(message);
    }
    expect(steps).toBe(0);
  });

  it("name intervals, recipes and batches that cannot be", async () => {
    for (const name of ["checkpointEveryEpochs", "keepEveryEpochs"])
      for (const value of [0, Number.NaN])
        await expect(made({}, { [name]: value })).rejects.toThrow(
          `${caller}: ${name} must be a positive number of epochs, got ${value}`,
        );
    await expect(train(undefined as never, data, options)).rejects.toThrow(
      `${caller}: the recipe must be an object, e.g. `,
    );
    const loader = batchLoader(data, { batchSize: 12, dropLast: true });
    const own = caller === "linearProbe" ? probeRecipe : recipe;
    await expect(train(own as never, loader, options)).rejects.toThrow(
      `${caller}: the batches of the source must hold the batchSize of the recipe, 8 images, got 12`,
    );
    await loader.close();
  });
});

it("robustFinetune names a method left out, and an unknown sigmaPer", async () => {
  await expect(finetune({ method: undefined as never })).rejects.toThrow(
    'robustFinetune: method must be settings like { name: "gaussian", copies: 1 }, got undefined',
  );
  await expect(finetune({ sigmaPer: "pixel" as never })).rejects.toThrow(
    'robustFinetune: sigmaPer must be "image" or "batch", got "pixel"',
  );
});

describe("linearProbe", () => {
  it("trains the head alone, on the frozen features of the encoder", async () => {
    await expectNoLeak(async () => {
      const losses: number[] = [];
      const { params, head, vit, report } = await probe(
        { epochs: 12, model, sigma: 0.1 },
        { onProgress: ({ metrics }) => losses.push(metrics.loss!) },
      );
      expect(report.created).toEqual([
        "head.weight",
        "head.bias",
        "fc_norm.weight",
        "fc_norm.bias",
      ]);
      for (const name of report.loaded) expect(params[name]!.data).toEqual(encoder[name]!.data);
      expect(Object.keys(head)).toEqual([
        "head.0.running_mean",
        "head.0.running_var",
        "head.1.weight",
        "head.1.bias",
      ]);
      const options: EvaluateOptions = { executor: eagerExecutor(), sigma: 0.1, seed: 5 };
      const trained = await evaluate(vit, params, test, options);
      expect(trained.accuracy).toBeGreaterThan(0.45); // chance is 1/3; the encoder was never trained
      const mean = (part: number[]) => part.reduce((sum, l) => sum + l, 0) / part.length;
      expect(mean(losses.slice(-24))).toBeLessThan(0.92 * mean(losses.slice(0, 24)));
    });
  });

  it("takes a recipe of linearProbeRecipe, without a batch size", async () => {
    const built = linearProbeRecipe({ model, epochs: 2, augmentation: null });
    const options = { executor: eagerExecutor(), seed: 3, pretrained: encoder };
    const { step, vit } = await linearProbe(built, data, options);
    expect([step, vit.config.globalPool]).toEqual([2, false]); // 96 images: one batch of 64 an epoch
  });

  it("repeats itself to the bit, resumed or not", async () => {
    const folder = scratch();
    const whole = await probe();
    const controller = new AbortController();
    const stopped = probe(
      {},
      {
        folder,
        signal: controller.signal,
        onProgress: ({ step }) => step === 5 && controller.abort(new Error("enough")),
      },
    );
    await expect(stopped).rejects.toThrow("enough");
    const resumed = await probe(
      {},
      { folder, keepEveryEpochs: 2, evaluation: { dataset: test, limit: 8 } },
    );
    expect(readdirSync(folder).filter((name) => name.startsWith("step-"))).not.toEqual([]);
    expect(resumed.resumedFrom).toBe(5);
    expect(values(resumed.params)).toEqual(values(whole.params));
    const other = createDmae({ ...model, ...decoder }).initHost(key(9)); // the head is of the first encoder
    await expect(probe({}, { folder, pretrained: other })).rejects.toThrow("recipe.pretrained: ");
  });

  it("names what does not fit", async () => {
    await expect(probe({ batchSize: 1 })).rejects.toThrow(
      "linearProbe: batchSize must be 2 or more, got 1",
    );
    await expect(probe({ model: { ...model, numClasses: 1 } })).rejects.toThrow(
      "linearProbe: numClasses of the model must be 2 or more, got 1",
    );
    await expect(probe({}, { softLabels: zeros([96, 3]) } as never)).rejects.toThrow(
      'linearProbe: unknown option "softLabels"',
    );
  });
});

describe("evaluate", () => {
  const vit = createViT(model);
  const params = vit.initHost(key(6));
  const run = (options: Partial<EvaluateOptions>) =>
    evaluate(vit, params, test, { executor: eagerExecutor(), ...options });

  it("does not depend on the batch size", async () => {
    const noisy = { sigma: 0.2, seed: 7, samples: 3, limit: 11 };
    const a = await run({ ...noisy, batchSize: 7 });
    const b = await run({ ...noisy, batchSize: 64 });
    expect({ ...a, loss: 0 }).toEqual({ ...b, loss: 0 });
    expectClose([a.loss], [b.loss], { relative: 1e-6 });
    expect(a.images).toBe(11);
  });

  it("compiles once for several measurements, which are those of single ones", async () => {
    let compiled = 0;
    const executor: Executor = {
      ...eagerExecutor(),
      prepareFunction: (...args) => {
        compiled++;
        return eagerExecutor().prepareFunction(...args);
      },
    };
    await expectNoLeak(async () => {
      const evaluation = await prepareEvaluation(vit, params, { executor, batchSize: 16 });
      for (const options of [{}, { sigma: 0.2, seed: 7, limit: 11 }, { samples: 2 }])
        expect(await evaluation(test, options)).toEqual(await run({ ...options, batchSize: 16 }));
      const larger = synthetic({ length: 1, key: key(0), imageShape: [20, 20, 1] });
      await expect(evaluation(larger)).rejects.toThrow(/images must be \[.*\], got \[20,20,1\]/);
      evaluation.dispose();
    });
    expect(compiled).toBe(1);
  });

  it("counts, with a classifier that always says 0", async () => {
    const head = { "head.weight": { ...params["head.weight"]!, data: new Float32Array(48) } };
    const bias = { "head.bias": { ...params["head.bias"]!, data: Float32Array.of(1, 0, 0) } };
    const result = await evaluate(vit, { ...params, ...head, ...bias }, test, {
      executor: eagerExecutor(),
    });
    let zeros = 0;
    for (let i = 0; i < test.length; i++) if ((await test.get(i)).label === 0) zeros++;
    const share = zeros / test.length;
    expect([result.accuracy, result.voteAccuracy]).toEqual([share, share]);
    const log = Math.log(Math.E + 2);
    expectClose([result.loss], [share * (log - 1) + (1 - share) * log], { relative: 1e-6 });
  });

  it("names options outside their ranges, at once", async () => {
    for (const batchSize of [0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const message = `evaluate: batchSize must be a positive integer, got ${batchSize}`;
      await expect(run({ batchSize })).rejects.toThrow(message);
      const prepared = prepareEvaluation(vit, params, { executor: eagerExecutor(), batchSize });
      await expect(prepared).rejects.toThrow(message);
    }
    const evaluation = await prepareEvaluation(vit, params, { executor: eagerExecutor() });
    const wrong = {
      samples: [0, -1, 1.5],
      limit: [0, -3, 2.5],
      sigma: [-1, Number.POSITIVE_INFINITY],
    };
    for (const [name, values] of Object.entries(wrong))
      for (const value of [...values, Number.NaN]) {
        const message = new RegExp(`^evaluate: ${name} must be .*, got ${value}$`);
        await expect(run({ [name]: value })).rejects.toThrow(message);
        await expect(evaluation(test, { [name]: value })).rejects.toThrow(message);
      }
    evaluation.dispose();
  });

  it("names a data set of other classes, and labels and images that it does not promise", async () => {
    const on = (dataset: ImageDataset) =>
      evaluate(vit, params, dataset, { executor: eagerExecutor() });
    await expect(on(synthetic({ ...shape, length: 4, numClasses: 100 }))).rejects.toThrow(
      "must be the 3 of the classifier, got 100",
    );
    await expect(on({ ...test, length: 0 })).rejects.toThrow("must hold images, got 0");
    for (const label of [3, -1, Number.NaN, 1.5])
      await expect(
        on({
          ...test,
          get: async (index) => (index === 7 ? { ...(await test.get(7)), label } : test.get(index)),
        }),
      ).rejects.toThrow(
        `evaluate: the label of image 7 must be an integer in [0, 3), got ${label}`,
      );
    const short = { ...test, get: () => ({ image: new Float32Array(3), label: 0 }) };
    await expect(on(short)).rejects.toThrow("evaluate: image 0 must have 144 values, got 3");
    for (const value of [200, -0.1, Number.NaN]) {
      const unscaled = {
        ...test,
        get: () => ({ image: new Float32Array(144).fill(value), label: 0 }),
      };
      await expect(on(unscaled)).rejects.toThrow(
        /evaluate: image 0 must lie in \[0, 1\], as in training, got .* scale the images/,
      );
    }
  });

  it("names logits that are no numbers", async () => {
    const bias = {
      "head.bias": { ...params["head.bias"]!, data: Float32Array.of(0, Number.NaN, 0) },
    };
    await expect(
      evaluate(vit, { ...params, ...bias }, test, { executor: eagerExecutor() }),
    ).rejects.toThrow("prepareFunction: head.bias holds NaN at element 1");
  });
});
