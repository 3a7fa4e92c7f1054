import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { foldIn, type ImageDataset } from "@dmae/core";
import { datasetName } from "@dmae/core/checks";
import { lockFile, makeFolder } from "@dmae/core/files";
import { everyNth, type PixelDataset, subset } from "@dmae/datasets";
import { type PreparedEvaluation, prepareEvaluation } from "@dmae/finetune/tasks";
import { type TrainedClassifier, trainedClassifier } from "./classifier.ts";
import { evenlySpread } from "./evenly-spread.ts";
import { progressLine } from "./progress.ts";
import { readAhead } from "./read-ahead.ts";
import type { ClassifierRecipe } from "./recipe.ts";
import { logLine, type Run } from "./run.ts";

/** One measurement of the evaluation stage. */
export interface Measurement {
  /** What was measured. */
  readonly what: "clean" | "noisy" | "vote";
  /** Noise level. */
  readonly sigma: number;
  /** Images looked at. */
  readonly images: number;
  /** Share of them that is classified as its label. */
  readonly accuracy: number;
  /** Mean cross entropy. */
  readonly loss: number;
}

/** Tells one part of a measurement from all others. */
interface PartIdentity extends Pick<Measurement, "what" | "sigma"> {
  readonly model: string;
  readonly from: number;
  readonly seed: number;
  readonly dataset: string;
}

/** A part of a measurement, as `evaluate/parts.jsonl` keeps it. */
interface Part extends Measurement, PartIdentity {}

/** Images in a part; an interrupted stage goes on with the next part. */
const partSize = 2000;

/**
 * Clean accuracy, accuracy on noisy images, and accuracy of the vote of many noisy copies, in parts that are resumed. Of
 * several processes, such as shards of one certification, one measures, and the others wait and find what it has measured.
 */
export async function evaluateStage(run: Run, recipe: ClassifierRecipe): Promise<Measurement[]> {
  const folder = join(run.folder, "evaluate");
  await makeFolder("run folder", folder);
  let isTold = false;
  const onWait = () => {
    if (!isTold) run.say(`evaluate: another process evaluates in ${run.folder}, waiting for it`);
    isTold = true;
  };
  const wait = { caller: "run folder", guarded: folder, wait: true, signal: run.signal, onWait };
  const lock = await lockFile(join(folder, "run.lock"), wait);
  try {
    const signal = AbortSignal.any([run.signal, lock.signal]);
    return await evaluateAll({ ...run, signal }, recipe);
  } finally {
    await lock.release();
  }
}

async function evaluateAll(run: Run, recipe: ClassifierRecipe): Promise<Measurement[]> {
  const { test } = run.data;
  const { images, votes, voteEvery } = recipe.evaluation;
  const trained = await trainedClassifier(run, recipe);
  const looked = images === null ? test : evenlySpread(test, images);
  const sigmas = recipe.certification.sigmas;
  const tasks: readonly Task[] = [
    { what: "clean", sigma: 0, samples: 1, dataset: looked },
    ...sigmas.map((sigma) => ({ what: "noisy", sigma, samples: 1, dataset: looked }) as const),
    ...(votes > 0
      ? sigmas.map(
          (sigma) =>
            ({ what: "vote", sigma, samples: votes, dataset: everyNth(test, voteEvery) }) as const,
        )
      : []),
  ];
  const rows = Math.max(...tasks.map(({ samples, dataset }) => samples * dataset.length));
  const classifier = compiledOnce(run, trained, Math.min(64, rows));
  const results: Measurement[] = [];
  try {
    for (const task of tasks) results.push(await measured(run, { trained, classifier }, task));
  } finally {
    await classifier.dispose();
  }
  for (const { what, sigma, accuracy, images: count } of results)
    run.say(
      `evaluate: ${what}${sigma > 0 ? ` at sigma ${sigma}` : ""}: ${(100 * accuracy).toFixed(2)} % of ${count} images`,
    );
  await logLine(run, { stage: "evaluate", event: "end", results });
  return results;
}

interface Task {
  readonly what: Measurement["what"];
  readonly sigma: number;
  readonly samples: number;
  readonly dataset: PixelDataset;
}

/** The classifier, compiled when it is first asked for: a finished stage does not need it. */
function compiledOnce(run: Run, { model, members }: TrainedClassifier, batchSize: number) {
  let ready: Promise<PreparedEvaluation> | undefined;
  return {
    get() {
      ready ??= prepareEvaluation(model, members[0]!, { executor: run.executor, batchSize });
      return ready;
    },
    dispose: async () => (await ready)?.dispose(),
  };
}

interface Measured {
  readonly trained: TrainedClassifier;
  readonly classifier: ReturnType<typeof compiledOnce>;
}

async function measured(
  run: Run,
  { trained, classifier }: Measured,
  task: Task,
): Promise<Measurement> {
  const { what, sigma, samples, dataset } = task;
  const line = progressLine(`evaluate ${what}${sigma > 0 ? ` ${sigma}` : ""}`, "images", run.say);
  const stageKey = foldIn(run.key, `evaluate/${what}`);
  const total = { images: 0, accuracy: 0, loss: 0 };
  for (let from = 0; from < dataset.length; from += partSize) {
    const identity = {
      model: trained.id,
      what,
      sigma,
      from,
      seed: run.options.seed,
      dataset: `${datasetName(dataset)} x ${samples}`,
    };
    let part = await knownPart(run.folder, identity);
    if (part === undefined) {
      const count = Math.min(partSize, dataset.length - from);
      const indices = Array.from({ length: count }, (_, i) => from + i);
      const evaluation = await classifier.get();
      const result = await evaluation(ahead(subset(dataset, indices), run), {
        sigma,
        seed: foldIn(stageKey, from),
        samples,
        signal: run.signal,
      });
      const accuracy = what === "vote" ? result.voteAccuracy : result.accuracy;
      part = { ...identity, images: result.images, accuracy, loss: result.loss };
      await keepPart(run.folder, part);
    }
    total.images += part.images;
    total.accuracy += part.accuracy * part.images;
    total.loss += part.loss * part.images;
    line.update(total.images, dataset.length);
  }
  const { images, accuracy, loss } = total;
  return { what, sigma, images, accuracy: accuracy / images, loss: loss / images };
}

const ahead = (dataset: PixelDataset, { options }: Run): ImageDataset =>
  readAhead(dataset, 2 * Math.max(1, options.workers));

const partsFile = (folder: string) => join(folder, "evaluate", "parts.jsonl");

/** Every part measured so far; a line that was cut off by a crash is left out. */
async function readParts(folder: string): Promise<Part[]> {
  const text = await readFile(partsFile(folder), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Part);
}

/** The same text for the same part. */
const nameOf = ({ model, what, sigma, from, seed, dataset }: PartIdentity): string =>
  JSON.stringify([model, what, sigma, from, seed, dataset]);

async function knownPart(folder: string, identity: PartIdentity): Promise<Part | undefined> {
  const parts = await readParts(folder);
  return parts.find((part) => nameOf(part) === nameOf(identity));
}

async function keepPart(folder: string, part: Part): Promise<void> {
  await appendFile(partsFile(folder), `\n${JSON.stringify(part)}\n`);
}

/** The measurements that a run folder holds, for the report. */
export async function readMeasurements(folder: string, model: string): Promise<Measurement[]> {
  const sums = new Map<
    string,
    { what: Measurement["what"]; sigma: number; images: number; right: number; loss: number }
  >();
  const seen = new Set<string>();
  for (const part of (await readParts(folder)).filter((one) => one.model === model)) {
    if (seen.has(nameOf(part))) continue; // two processes measured it
    seen.add(nameOf(part));
    const name = `${part.what} ${part.sigma} ${part.seed} ${part.dataset}`;
    const sum = sums.get(name) ?? {
      what: part.what,
      sigma: part.sigma,
      images: 0,
      right: 0,
      loss: 0,
    };
    sum.images += part.images;
    sum.right += part.accuracy * part.images;
    sum.loss += part.loss * part.images;
    sums.set(name, sum);
  }
  return [...sums.values()].map(({ right, loss, ...rest }) => ({
    ...rest,
    accuracy: right / rest.images,
    loss: loss / rest.images,
  }));
}
