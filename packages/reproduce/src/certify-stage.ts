import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { certifyDataset, type LogRow, mergeLogs } from "@dmae/smoothing-certify";
import type { Shard } from "@dmae/smoothing-certify/log";
import { classifierOf, trainedClassifier } from "./classifier.ts";
import { progressLine } from "./progress.ts";
import type { ClassifierRecipe } from "./recipe.ts";
import { logLine, type Run } from "./run.ts";

/** Certifies the recipe's images at each of its noise levels; every image is on the disk before the next one begins. */
export async function certifyStage(run: Run, recipe: ClassifierRecipe): Promise<void> {
  const { sigmas, batchSize } = recipe.certification;
  const trained = await trainedClassifier(run, recipe);
  const { classifier, dispose } = await classifierOf(trained, run, batchSize);
  try {
    for (const sigma of sigmas) await certifyAt(run, recipe, sigma, { classifier, id: trained.id });
  } finally {
    dispose();
  }
}

async function certifyAt(
  run: Run,
  recipe: ClassifierRecipe,
  sigma: number,
  { classifier, id }: { classifier: Parameters<typeof certifyDataset>[0]; id: string },
): Promise<void> {
  const { n0, n, alpha, every, skipWrongGuess } = recipe.certification;
  const { test } = run.data;
  const { shard, seed } = run.options;
  const log = logFile(run.folder, sigma, shard);
  const line = progressLine(`certify at sigma ${sigma}`, "images", run.say);
  let images = 0;
  for await (const _ of certifyDataset(classifier, test, {
    sigma,
    n0,
    n,
    alpha,
    seed,
    skip: every,
    max: Math.max(1, Math.floor(test.length / every)),
    skipWrongGuess,
    model: id,
    log,
    ...(shard ? { shard } : {}),
    ...(run.world === undefined ? {} : { world: run.world }),
    signal: run.signal,
    onProgress: ({ done, total, rate }) =>
      line.update(done, total, `${Math.round(rate)} noisy images/s`),
  }))
    images++;
  line.end(`${images} images, ${log}`);
  await logLine(run, { stage: "certify", event: "end", sigma, images, log });
}

const prefixOf = (sigma: number) => `sigma-${sigma.toFixed(2)}`;

/** The log of a noise level, or of one shard of it. */
export const logFile = (folder: string, sigma: number, shard?: Shard) =>
  join(
    folder,
    "certify",
    shard
      ? `${prefixOf(sigma)}.shard-${shard.index}-of-${shard.count}.tsv`
      : `${prefixOf(sigma)}.tsv`,
  );

/** The rows of a noise level: its log, or those of its shards put together; undefined where there is none. */
export async function certifiedRows(folder: string, sigma: number): Promise<LogRow[] | undefined> {
  const names = await readdir(join(folder, "certify")).catch(() => []);
  const whole = names.filter((name) => name === `${prefixOf(sigma)}.tsv`);
  const parts = names.filter(
    (name) => name.startsWith(`${prefixOf(sigma)}.shard-`) && name.endsWith(".tsv"),
  );
  const chosen = whole.length > 0 ? whole : parts;
  if (chosen.length === 0) return undefined;
  const rows = await mergeLogs(
    chosen.map((name) => join(folder, "certify", name)),
    { partial: true },
  );
  return rows.length > 0 ? rows : undefined;
}
