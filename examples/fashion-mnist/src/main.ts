// Certified robustness on Fashion-MNIST, one named row at a time: `npm start -- --row NAME [--images 1000] [--n 10000]`.
// Interrupted and started again with the same words, it goes on where it was. Hours on two cores; README.md has the costs.
// Rows are DMAE's (recipes.ts) or published methods with LeNet (method-rows.ts), which `--compare` sets beside their published
// training curves and `--epochs N` trains for N more epochs.
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createMethod, type MethodSettings } from "@dmae/certified-training";
import { compiledExecutor } from "@dmae/compile";
import type { ConvNet } from "@dmae/convnet";
import { DmaeError, foldIn, key } from "@dmae/core";
import { batchLoader, fashionMnist, randomCrop, randomHorizontalFlip } from "@dmae/datasets";
import { robustFinetune } from "@dmae/finetune";
import { selectBackend } from "@dmae/nn";
import { pretrain } from "@dmae/pretrain";
import { progressLine } from "@dmae/reproduce";
import type { TrainingProgress } from "@dmae/train";
import { compareCurves, ownCurve, publishedCurve } from "./curve.ts";
import { type MethodRow, methodRows } from "./method-rows.ts";
import { type Row, rows } from "./recipes.ts";
import { softLabels } from "./soft-labels.ts";

const { values } = parseArgs({
  options: {
    row: { type: "string" },
    seed: { type: "string", default: "0" },
    epochs: { type: "string" },
    compare: { type: "boolean", default: false },
  },
});
const named = <T extends { readonly name: string }>(list: readonly T[]) =>
  list.find(({ name }) => name === values.row);
const row = named(rows);
const methodRow = named(methodRows);
if (!row && !methodRow)
  throw new DmaeError(
    "argument",
    `--row: must be one of ${[...rows, ...methodRows].map(({ name }) => name).join(", ")}, got ${values.row}`,
  );

await selectBackend("cpu");
const root = key(Number(values.seed));
const runs = fileURLToPath(new URL("../runs", import.meta.url));
const { train, test } = await fashionMnist();
const stop = new AbortController();
const enough = new Error("--epochs are done");
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

/** What both trainings are told: where to run, where checkpoints go, whom to tell. */
function running(name: string, folder: string) {
  const line = progressLine(name, "steps");
  return {
    executor: compiledExecutor(),
    seed: foldIn(root, name),
    folder: join(runs, `${folder}-seed-${values.seed}`),
    checkpointEveryEpochs: 0.25,
    logEvery: 20,
    signal: stop.signal,
    onProgress: ({ step, steps, metrics }: TrainingProgress) =>
      line.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`),
  };
}

/** The images in a new order, flipped and shifted in each epoch. */
const augmented = (batchSize: number, name: string, shift: number) =>
  batchLoader(train, {
    batchSize,
    shuffle: true,
    dropLast: true,
    key: foldIn(root, name),
    transform: [randomCrop(28, { padding: shift }), randomHorizontalFlip()],
  });

/** Pre-training, which rows share, then fine-tuning. */
async function trainDmae({ name, pretraining, finetuning, shift }: Row): Promise<void> {
  const { encoder } = await pretrain(
    pretraining,
    augmented(pretraining.batchSize, "pretrain-data", 0),
    running("pretrain", pretraining.name!),
  );
  await robustFinetune(finetuning, augmented(finetuning.batchSize, "finetune-data", shift), {
    ...running("finetune", name),
    pretrained: encoder,
  });
}

/** A published method from scratch, measured on the test set under one draw of noise after each epoch. */
async function trainMethod({ name, recipe }: MethodRow): Promise<void> {
  const options = running(name, name);
  const needsLabels = createMethod(recipe.method as MethodSettings).needsSoftLabels;
  const labels = needsLabels && {
    softLabels: await softLabels(recipe.model as ConvNet, train, {
      executor: options.executor,
      trained: join(runs, `gaussian-0.25-seed-${values.seed}`),
      file: join(runs, `soft-labels-seed-${values.seed}.safetensors`),
    }),
  };
  let epochs = Number(values.epochs ?? recipe.epochs);
  await robustFinetune(recipe, train, {
    ...options,
    ...labels,
    evaluation: { dataset: test },
    onEvaluation: () => {
      if (--epochs === 0) stop.abort(enough);
    },
  });
}

const folder = join(runs, `${values.row}-seed-${values.seed}`);
if (!values.compare)
  await (row ? trainDmae(row) : trainMethod(methodRow!)).catch((error: unknown) => {
    if (error !== enough) throw error; // stopped by --epochs, after a checkpoint
  });
if (methodRow)
  console.log(compareCurves(ownCurve(folder), publishedCurve(methodRow.name)).join("\n"));
