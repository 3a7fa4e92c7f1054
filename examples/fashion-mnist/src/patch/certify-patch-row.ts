import { join } from "node:path";
import { compiledExecutor } from "@dmae/compile";
import type { HostTensors } from "@dmae/core";
import { progressLine } from "@dmae/reproduce/progress";
import { type Classifier, certifyDatasetPatch } from "@dmae/smoothing-certify";
import { visibleTokens } from "@dmae/vit/parts";
import { results } from "../certify-row.ts";
import { keepResult, resultFiles } from "../keep-result.ts";
import { secondsInLog } from "../seconds-in-log.ts";
import { runFolder, runs, type Training, trainingSeconds } from "../train-row.ts";
import { columns, convolutional, type PatchRow, vit } from "./patch-rows.ts";

/** Copies of an image: one for each start of a band. */
const copies = 28;

/** A classifier of ablated copies `[n, 28, 28, 2]`, and what frees it. */
async function classifierOf({ recipe }: PatchRow, params: HostTensors) {
  if (recipe.model !== convolutional) {
    const executor = compiledExecutor();
    const classifier = visibleTokens(vit, params, { executor, batchSize: copies });
    return { classifier: classifier as Classifier, dispose: () => classifier.dispose() };
  }
  const shape = [copies, 28, 28, 2];
  const prepared = await compiledExecutor().prepareFunction({
    fn: ({ images, ...rest }) => ({ logits: convolutional.apply(rest, images!).logits }),
    specs: { images: shape },
    constants: params,
  });
  const classifier: Classifier = {
    input: "array",
    fixedBatchSize: copies,
    numClasses: 10,
    predict: async (images: Float32Array) => (await prepared({ images })).logits!,
  };
  return { classifier, dispose: () => prepared.dispose() };
}

/** Certifies test images against patches and keeps the log in {@link results}; started again, it goes on. */
export async function certifyPatchRow(
  row: PatchRow,
  params: HostTensors,
  { seed, test, signal }: Training,
  every: number,
): Promise<void> {
  const { classifier, dispose } = await classifierOf(row, params);
  const line = progressLine(`certify ${row.name}`, "images");
  const name = `${row.name}-every-${every}-seed-${seed}`;
  const log = join(runs, `${name}.tsv`);
  const earlier = await secondsInLog(log);
  const started = Date.now();
  const rows = await certifyDatasetPatch(classifier, test, {
    ...{ ablation: { columns }, encoding: "mask", skip: every, batchSize: copies, log, signal },
    model: `${row.name} of seed ${seed}`,
    onProgress: ({ done, total }) => line.update(done, total, ""),
  }).toArray();
  dispose();
  line.end(`${rows.length} test images`);
  const facts = {
    ...{ row: row.name, seed, every, columns },
    seconds: {
      pretraining: row.from ? Math.round(trainingSeconds(runFolder(row.from.name!, seed))) : 0,
      training: Math.round(trainingSeconds(runFolder(row.name, seed))),
      certification: Math.round(earlier + (Date.now() - started) / 1000),
    },
    date: new Date().toISOString().slice(0, 10),
  };
  await keepResult(resultFiles(results, name, ".patch.json"), { log, facts });
}
