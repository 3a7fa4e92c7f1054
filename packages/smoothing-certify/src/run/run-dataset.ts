import type { DmaeError, FloatArray, ImageDataset, World } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { ranksOf } from "@dmae/core/ranks";
import {
  type Classifier,
  type PreparedClassifier,
  prepareClassifier,
} from "../classifier/classifier.ts";
import { checkPreprocessings, UNIT_RANGE } from "../classifier/range.ts";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { type LogWriter, openLog, pathOf } from "../log/log-writer.ts";
import { seedOfLog } from "../log/seed-of-log.ts";
import type { Shard } from "../log/shard.ts";
import { formatSeed, type Seed } from "../noise/fresh-seed.ts";
import {
  nameOf,
  readChecked,
  readItem,
  type SelectionOptions,
  selectIndices,
  selectionNames,
} from "./dataset-selection.ts";
import { classifierFingerprint, dataFingerprint } from "./fingerprint.ts";
import {
  batchSizerOf,
  checkSampling,
  inDimension,
  noiseOf,
  type SamplingOptions,
  type Seeded,
  samplingNames,
  withSeed,
} from "./options.ts";
import type { Procedure } from "./procedure.ts";
import { type Progress, ProgressMeter } from "./progress.ts";
import { endAfterError, saysRowsInvalid } from "./row-check.ts";
import { refuseShard, runOnRanks } from "./run-on-ranks.ts";
import { checkRowsOf, type Finished, type RunSettings, runTasks, type Task } from "./run-tasks.ts";

/** Options of the functions that go through a data set. */
export interface DatasetOptions extends SamplingOptions, SelectionOptions {
  /**
   * Log to append to; an interrupted run goes on where it was, with the log's seed unless one is given.
   * Without it rows are only yielded.
   */
  readonly log?: string | URL | undefined;
  /** Name of the model in the log. */
  readonly model?: string | undefined;
  /**
   * What tells the classifier from others of its name, e.g. a hash of its weights. Part of its fingerprint in the
   * log, beside what the wrappers of this package know and its classes on 64 fixed images. Default none.
   */
  readonly fingerprint?: string | undefined;
  /**
   * The processes that certify together, `await world()` of `@dmae/distributed`; default: this one alone. Each yields the
   * rows of its shard; at the end rank 0 puts their logs together as `log`, which all machines must see. Rows of other
   * images in such a log are an error.
   */
  readonly world?: World | undefined;
  /** Called after every batch. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** The names of {@link DatasetOptions}. */
export const datasetNames = {
  ...samplingNames,
  ...selectionNames,
  log: "path",
  model: "text",
  fingerprint: "text",
  onProgress: "function",
  world: true,
} satisfies OptionNames<DatasetOptions>;

/** Images in the form that the classifier sees. */
export interface EncodedImages {
  readonly shape: readonly number[];
  encode(image: FloatArray): FloatArray;
}

/** An image whose result is there. */
export interface Inspected {
  readonly index: number;
  readonly label: number;
  readonly image: FloatArray;
  readonly prepared: PreparedClassifier;
  /** Seed of the run; undefined where its noise does not say. */
  readonly seed: Seed | undefined;
}

/** What is run on every image, and how its result becomes a row. */
export interface DatasetPlan<R> {
  readonly caller: string;
  /** Settings beyond those that all procedures share. */
  readonly settings: { procedure: string; alpha: number; n: number; n0: number } & Record<
    string,
    string | number | boolean
  >;
  /** How an image is shown to the classifier, if not as it is. */
  readonly encoded?: EncodedImages;
  procedure(label: number): Procedure<R>;
  /** What is found out about an image beside the result. */
  inspect?(image: Inspected): Promise<Partial<LogRow>>;
  row(result: R, label: number): Pick<LogRow, "predict" | "radius"> & Partial<LogRow>;
}

/**
 * Goes through the selected images of a data set, or the share of this rank; yields the rows of an earlier session
 * first.
 */
export async function* runDataset<R>(
  classifier: Classifier,
  dataset: ImageDataset,
  given: DatasetOptions,
  plan: DatasetPlan<R>,
): AsyncGenerator<LogRow, void, void> {
  const { caller } = plan;
  const { world: whole, seed, log, ...options } = given;
  const world = ranksOf(caller, whole);
  if (world === undefined) return yield* runShard(classifier, dataset, given, plan);
  refuseShard(caller, given.shard);
  checkSampling(caller, given);
  const images = selectIndices(caller, dataset, given);
  yield* runOnRanks({
    ...{ caller, world, seed, images },
    log: log === undefined ? undefined : await pathOf(log),
    hasSeed: seed !== undefined || given.noise !== undefined,
    settings: async (seed) =>
      (await prepareRun(classifier, dataset, { ...options, seed }, plan)).settings,
    settingsOf: (shard) => shardSettings(shard, images, given),
    seedOf: seedOfLog,
    run: (own) => runShard(classifier, dataset, { ...options, ...own }, plan),
  });
}

/** What the rows of a shard say of it. */
const shardSettings = (
  { index, count }: Shard,
  all: readonly number[],
  { indices }: SelectionOptions,
) => ({
  shard: `${index}/${count} of ${all.length}`,
  ...(indices && { indices: nameOf(all) }),
});

async function* runShard<R>(
  classifier: Classifier,
  dataset: ImageDataset,
  given: DatasetOptions,
  plan: DatasetPlan<R>,
): AsyncGenerator<LogRow, void, void> {
  const { caller, encoded = asTheyAre(dataset) } = plan;
  const { options, indices, numClasses, prepared, settings } = await prepareRun(
    classifier,
    dataset,
    given,
    plan,
  );
  const log = options.log === undefined ? undefined : await openLog(options.log, settings);
  try {
    const isOld = (index: number) => log?.images.has(index) ?? false;
    const remaining = indices.filter((index) => !isOld(index));
    const first = indices.find(isOld);
    if (first !== undefined) await checkAgain(prepared, dataset, encoded, first, options);
    if (log && first !== undefined) yield* oldRows(log, indices);
    const inspect = async (index: number, label: number) => {
      if (!plan.inspect) return {};
      const { image } = await readItem(caller, dataset, index);
      return plan.inspect({ index, label, image, prepared, seed: options.seed });
    };
    const meter = new ProgressMeter(indices.length - remaining.length, indices.length);
    const labels = new Map<number, number>();
    const tasks = readTasks(dataset, encoded, remaining, numClasses, options, plan, labels);
    const run = {
      ...runSettings(prepared, encoded, options),
      onBatch(rows: number) {
        meter.addSamples(rows);
        options.onProgress?.(meter.read());
      },
    };
    const take = async ({ index, result }: Finished<R>) => {
      const label = labels.get(index)!;
      labels.delete(index);
      const found = plan.row(result, label);
      const more = await inspect(index, label);
      const time = Math.round(meter.addImage() * 1e6) / 1e6;
      const row = toRow(index, label, time, { ...found, ...more }, settings);
      await log?.append(row);
      options.onProgress?.(meter.read());
      return row;
    };
    const results = runTasks(tasks, run);
    for await (const finished of results)
      try {
        yield await take(finished);
      } catch (error) {
        await endAfterError(() => results.return()); // the loop itself would drop what the end says about the rows
        throw error;
      }
  } catch (error) {
    if (saysRowsInvalid(error)) await invalidateLog(log, error);
    throw error;
  } finally {
    await log?.close();
  }
}

/** What is known of a run before it begins. */
async function prepareRun<R>(
  classifier: Classifier,
  dataset: ImageDataset,
  given: DatasetOptions,
  plan: DatasetPlan<R>,
) {
  const { caller } = plan;
  checkSampling(caller, given);
  const options = await withSeedOfLog(given);
  const indices = selectIndices(caller, dataset, options);
  const numClasses = options.numClasses ?? dataset.numClasses;
  const prepared = await prepareClassifier(caller, classifier, { ...options, numClasses }, false);
  checkPreprocessings(caller, prepared.traits.preprocessing, options.range);
  const settings = await logSettings(dataset, prepared, options, plan);
  return { options, indices, numClasses, prepared, settings };
}

/** The rows of an earlier session, of the images that are asked for. */
async function* oldRows(
  log: LogWriter,
  indices: readonly number[],
): AsyncGenerator<LogRow, void, void> {
  const wanted = new Set(indices);
  for await (const row of log.rows()) if (wanted.has(row.idx)) yield row;
}

/** The options with the seed of the run: the caller's, else that of the log, else a fresh one. */
async function withSeedOfLog(options: DatasetOptions): Promise<Seeded<DatasetOptions>> {
  const { log, seed, noise } = options;
  const isKnown = seed !== undefined || noise !== undefined || log === undefined;
  return withSeed(isKnown ? options : { ...options, seed: await seedOfLog(log) });
}

/** Marks a log whose run found out at its end that its rows are no certificates. */
async function invalidateLog(log: LogWriter | undefined, error: DmaeError): Promise<void> {
  await log?.invalidate(error.message.replace(/^certify: /, "")).catch(() => {}); // the first error matters more
}

/** An earlier session may have been killed before the check at its end, so it is made up for. */
async function checkAgain(
  classifier: PreparedClassifier,
  dataset: ImageDataset,
  encoded: EncodedImages,
  index: number,
  options: Seeded<DatasetOptions>,
): Promise<void> {
  if (options.checkRows === false) return;
  const { image } = await readItem("certifyDataset", dataset, index);
  const task = { index, image: encoded.encode(image) };
  await checkRowsOf(task, runSettings(classifier, encoded, options));
}

const asTheyAre = ({ imageShape }: ImageDataset): EncodedImages => ({
  shape: imageShape,
  encode: (image) => image,
});

function runSettings(
  classifier: PreparedClassifier,
  { shape }: EncodedImages,
  options: Seeded<DatasetOptions>,
): RunSettings {
  const size = shape.reduce((product, length) => product * length, 1);
  return {
    classifier,
    noise: noiseOf(options),
    batches: batchSizerOf(options, classifier, size),
    imageShape: shape,
    signal: options.signal,
    checkRows: options.checkRows ?? true,
    randomized: options.randomized ?? false,
  };
}

function toRow(
  idx: number,
  label: number,
  time: number,
  found: Pick<LogRow, "predict" | "radius"> & Partial<LogRow>,
  settings: LogSettings,
): LogRow {
  const correct = found.predict === label ? 1 : 0;
  return { idx, label, ...found, correct, time, settings };
}

async function* readTasks<R>(
  dataset: ImageDataset,
  encoded: EncodedImages,
  indices: readonly number[],
  numClasses: number,
  options: DatasetOptions,
  { caller, procedure }: DatasetPlan<R>,
  labels: Map<number, number>,
): AsyncGenerator<Task<R>, void, void> {
  const { range } = options;
  for (const index of indices) {
    const { image, label } = await readChecked(caller, dataset, index, { range, numClasses });
    labels.set(index, label);
    // copied: a data set may hand out the same memory each time, and several images are under way
    yield { index, image: encoded.encode(image).slice(), procedure: procedure(label) };
  }
}

async function logSettings<R>(
  dataset: ImageDataset,
  prepared: PreparedClassifier,
  options: Seeded<DatasetOptions>,
  plan: DatasetPlan<R>,
): Promise<LogSettings> {
  const { sigma, model, shard, seed } = options;
  const all = selectIndices(plan.caller, dataset, { ...options, shard: undefined });
  const { dimension, totalVariation } = inDimension(options, dataset.imageShape);
  const { distribution = "gaussian", range = UNIT_RANGE, randomized = false } = options;
  const { imageShape } = dataset;
  const shown = plan.encoded?.shape ?? imageShape;
  const fingerprinted = { imageShape: shown, range, given: options.fingerprint, randomized };
  return {
    sigma,
    ...plan.settings,
    ...(distribution !== "gaussian" && { distribution }),
    ...(totalVariation > 0 && { totalVariation }),
    ...(`${range}` !== `${UNIT_RANGE}` && { range: `${range}` }),
    dimension,
    shape: imageShape.join("x"),
    seed: seed === undefined ? "" : formatSeed(seed),
    generator: noiseOf(options).generator,
    dataset: dataset.name ?? "",
    data: await dataFingerprint(dataset),
    model: model ?? prepared.traits.name ?? "",
    classifier: await classifierFingerprint(prepared, fingerprinted),
    ...(shard && shardSettings(shard, all, options)),
  };
}
