// Certified robustness on Fashion-MNIST, one named row at a time: `npm start -- --row NAME [--images 1000] [--n 10000]`.
// Interrupted and started again with the same words, it goes on where it was. Hours on two cores; README.md has the costs.
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compiledExecutor } from "@dmae/compile";
import { DmaeError, foldIn, key } from "@dmae/core";
import { batchLoader, fashionMnist, randomCrop, randomHorizontalFlip } from "@dmae/datasets";
import { progressLine } from "@dmae/example-reproduction/progress";
import { robustFinetune } from "@dmae/finetune";
import { selectBackend } from "@dmae/nn";
import { pretrain } from "@dmae/pretrain";
import type { Progress } from "@dmae/train";
import { rows } from "./recipes.ts";

const { values } = parseArgs({
  options: { row: { type: "string" }, seed: { type: "string", default: "0" } },
});
const row = rows.find(({ name }) => name === values.row);
if (!row)
  throw new DmaeError(
    "argument",
    `--row: must be one of ${rows.map(({ name }) => name).join(", ")}, got ${values.row}`,
  );

await selectBackend("cpu");
const root = key(Number(values.seed));
const runs = fileURLToPath(new URL("../runs", import.meta.url));
const { train } = await fashionMnist();
const stop = new AbortController();
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
    onProgress: ({ step, steps, metrics }: Progress) =>
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

const { pretraining, finetuning, shift } = row;
const { encoder } = await pretrain(
  pretraining,
  augmented(pretraining.batchSize, "pretrain-data", 0),
  running("pretrain", pretraining.name!),
);
await robustFinetune(finetuning, augmented(finetuning.batchSize, "finetune-data", shift), {
  ...running("finetune", row.name),
  pretrained: encoder,
});
