import { DmaeError, type ImageDataset } from "@dmae/core";
import type { Range } from "../classifier/range.ts";
import { formatHeader } from "../log/log-format.ts";
import { tryLog } from "../log/log-writer.ts";
import { seedOfLog } from "../log/seed-of-log.ts";
import { parseShard, type Shard, shardFromEnvironment } from "../log/shard.ts";
import { formatSeed, freshSeed, parseSeed, type Seed } from "../noise/fresh-seed.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { noiseInWorkers, type WorkerNoise } from "../noise/noise-workers.ts";
import { certifyDatasetAdaptive } from "../procedures/certify-adaptive.ts";
import { certifyDatasetAtRadius } from "../procedures/certify-at-radius.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { predict } from "../procedures/predict.ts";
import { preflight } from "../procedures/preflight.ts";
import { percentText } from "../report/percent.ts";
import { selectIndices } from "../run/dataset-selection.ts";
import type { Norm } from "../statistics/noises-and-norms.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { type LoadedModel, loadData, loadModel } from "./cli-load.ts";
import { outputOf, printRows, type Streams } from "./cli-rows.ts";

/** Runs `certify`, `predict` or `at-radius`. */
export async function runModel(command: string, args: Arguments, io: Streams): Promise<void> {
  if (command === "certify") checkAdaptive(args);
  if (args.has("attack-radius") && !args.on("attack"))
    throw new DmaeError(
      "argument",
      "--attack-radius is for --attack; say --attack, or leave it out",
    );
  const checked = runOptions(command, args, io);
  const found = await loadData(args);
  const model = await loadModel(args);
  const dataset = await relabelled(found, model, args);
  const { name, fingerprint } = model;
  const options = given({ ...checked, model: name, fingerprint, seed: await seedOf(args) });
  await tryOutput(command, args, io);
  const noise = await threads(args, options);
  try {
    const run = { ...options, ...(noise && { noise }) };
    if (!args.on("no-preflight")) await warnOfProblems(model, dataset, args, run, io);
    if (command === "predict") await predictAll(model, dataset, run, io);
    else await certifyAll(command, args, model, dataset, run, io);
  } finally {
    await noise?.close();
    await model.dispose();
  }
}

/** What cannot be written is said before anything is computed. */
export async function tryOutput(command: string, args: Arguments, io: Streams): Promise<void> {
  const log = args.text("log");
  if (log !== undefined) return tryLog(log);
  await io.out(command === "predict" ? predictionHeader : formatHeader(true, args.on("attack")));
}

const predictionHeader = "idx\tlabel\tpredict\tpValue\tcorrect\tseed\n";

/** Options that only one of certify and certify --adaptive has: none may be passed over in silence. */
function checkAdaptive(args: Arguments): void {
  const adaptive = args.on("adaptive");
  const foreign = adaptive
    ? (["n", "n0", "bound", "norm", "skip-wrong-guess", "attack"] as const)
    : (["max-samples", "relative-width", "pilot"] as const);
  for (const name of foreign)
    if (args.has(name))
      throw new DmaeError(
        "argument",
        adaptive
          ? `--${name} is not for --adaptive, whose options are --max-samples, --relative-width and --pilot`
          : `--${name} is for --adaptive; say --adaptive, or leave it out`,
      );
}

type RunOptions = ReturnType<typeof runOptions> & {
  readonly model: string;
  readonly fingerprint: string | undefined;
  readonly seed: Seed;
};

function runOptions(command: string, args: Arguments, { signal }: Streams) {
  for (const name of ["model", "data", "sigma"] as const) args.needed(name);
  if (command === "at-radius") args.needed("radius");
  return {
    ...certificationOf(args),
    randomized: args.on("randomized"),
    ...selectionOf(args),
    ...batchesOf(args),
    signal,
  };
}

/** What a certificate is about. */
export const certificationOf = (args: Arguments) => ({
  sigma: args.number("sigma")!,
  n: args.number("n"),
  n0: args.number("n0"),
  alpha: args.number("alpha"),
  bound: args.text("bound") as "two-class" | undefined,
  norm: args.text("norm") as Norm | undefined,
  range: args.numbers("range") as Range | undefined,
  distribution: args.text("noise") as NoiseDistribution | undefined,
  sound: args.on("sound"),
});

/** Which images are taken. */
export const selectionOf = (args: Arguments) => ({
  skip: args.number("skip"),
  max: args.number("max"),
  indices: args.numbers("indices"),
  shard: shardOf(args.text("shard")),
});

/** How large batches are. */
export function batchesOf(args: Arguments) {
  const limit = args.number("memory-limit");
  return {
    batchSize: args.number("batch-size"),
    memoryLimit: limit === undefined ? undefined : limit * 2 ** 20,
  };
}

/** The seed that was given (digits are a number, anything else a text), that of the log, or a fresh one. */
export async function seedOf(args: Arguments): Promise<Seed> {
  const text = args.text("seed");
  if (text !== undefined) return parseSeed(text) ?? text;
  const log = args.text("log");
  return (log === undefined ? undefined : await seedOfLog(log)) ?? freshSeed();
}

/** Options without those that are undefined, whose names the procedure may not know. */
export function given<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

function shardOf(text: string | undefined): Shard | undefined {
  if (text === undefined) return undefined;
  return text === "auto" ? shardFromEnvironment() : parseShard(text);
}

async function threads(
  args: Arguments,
  { seed, sigma, distribution, sound }: RunOptions,
): Promise<WorkerNoise | undefined> {
  const workers = args.number("noise-workers");
  if (workers === undefined) return undefined;
  return noiseInWorkers(
    { seed, sigma, ...(distribution && { distribution }), ...(sound && { sound }) },
    { workers },
  );
}

async function warnOfProblems(
  { classifier }: LoadedModel,
  dataset: ImageDataset,
  args: Arguments,
  options: RunOptions,
  io: Streams,
): Promise<void> {
  const radius = args.number("radius");
  const grows = radius !== undefined || args.on("adaptive");
  const n = grows ? (args.number("max-samples") ?? 100_000) : args.number("n");
  const report = await preflight(classifier, dataset, { ...options, n, radius });
  for (const warning of report.warnings) io.error(`warning: ${warning}\n`);
  if (args.on("quiet")) return;
  io.error(
    `${dataset.name}: accuracy ${percentText(report.cleanAccuracy)} % clean, ${percentText(report.noisyAccuracy)} % under noise on ${report.images} images; largest radius that can be certified ${report.largestRadius.toPrecision(4)}\n`,
  );
}

async function certifyAll(
  command: string,
  args: Arguments,
  { classifier }: LoadedModel,
  dataset: ImageDataset,
  shared: RunOptions,
  io: Streams,
): Promise<void> {
  const options = { ...shared, ...outputOf(args, io) };
  const maxSamples = args.number("max-samples");
  await printRows(start(), args, io);

  function start() {
    if (command === "at-radius") {
      const mode = args.text("mode") as "deploy" | undefined;
      const radius = Number(args.needed("radius"));
      const patience = args.number("patience");
      const sequential = { radius, maxSamples, patience, mode };
      return certifyDatasetAtRadius(classifier, dataset, { ...options, ...sequential });
    }
    if (!args.on("adaptive")) {
      const skipWrongGuess = args.on("skip-wrong-guess");
      const attack = args.on("attack") ? { radius: args.number("attack-radius") } : undefined;
      return certifyDataset(classifier, dataset, { ...options, skipWrongGuess, attack });
    }
    const relativeWidth = args.number("relative-width");
    const adaptive = { relativeWidth, maxSamples, pilot: args.number("pilot") };
    return certifyDatasetAdaptive(classifier, dataset, { ...options, ...adaptive });
  }
}

async function predictAll(
  { classifier }: LoadedModel,
  dataset: ImageDataset,
  options: RunOptions,
  io: Streams,
): Promise<void> {
  const indices = selectIndices("predict", dataset, options);
  const {
    model: _model,
    fingerprint: _,
    skip,
    max,
    indices: _indices,
    shard,
    ...sampling
  } = options;
  const { numClasses, imageShape: shape } = dataset;
  for (const index of indices) {
    const { image, label } = await dataset.get(index);
    const single = { ...sampling, numClasses, shape, index };
    const { prediction, pValue } = await predict(classifier, image, single);
    const correct = prediction === label ? 1 : 0;
    const row = [index, label, prediction, pValue, correct, formatSeed(options.seed)];
    await io.out(`${row.join("\t")}\n`);
  }
}
