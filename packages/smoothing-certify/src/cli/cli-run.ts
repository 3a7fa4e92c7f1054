import type { ImageDataset } from "@dmae/core";
import { datasetName } from "@dmae/core/checks";
import { formatHeader } from "../log/log-format.ts";
import { tryLog } from "../log/log-writer.ts";
import type { Seed } from "../noise/fresh-seed.ts";
import { noiseInWorkers, type WorkerNoise } from "../noise/noise-workers.ts";
import { certifyDatasetAdaptive } from "../procedures/certify-adaptive.ts";
import { certifyDatasetAtRadius } from "../procedures/certify-at-radius.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { predict } from "../procedures/predict.ts";
import { preflight } from "../procedures/preflight.ts";
import { percentText } from "../report/percent.ts";
import type { Arguments } from "./cli-arguments.ts";
import { headerOf, printImages } from "./cli-images.ts";
import { relabelled } from "./cli-labels.ts";
import { type LoadedModel, withModel } from "./cli-load.ts";
import { outputOf, printRows, type Streams } from "./cli-rows.ts";
import { certificationOf, samplingOf, seedOf, selectionOf } from "./cli-settings.ts";

/** Runs `certify`, `predict` or `at-radius`. */
export async function runModel(command: string, args: Arguments, io: Streams): Promise<void> {
  if (command === "certify") checkAdaptive(args);
  if (!args.has("attack"))
    args.refuse(["attack-radius"], "is for --attack; say --attack, or leave it out");
  const checked = runOptions(args, io);
  await withModel(args, async (model, found) => {
    const dataset = await relabelled(found, model, args);
    const { name, fingerprint } = model;
    const options = { ...checked, model: name, fingerprint, seed: await seedOf(args) };
    await tryOutput(command, args, io);
    const noise = await threads(args, options);
    try {
      const run = { ...options, ...(noise && { noise }) };
      if (!args.has("no-preflight")) await warnOfProblems(command, model, dataset, args, run, io);
      if (command === "predict") await predictAll(model, dataset, args, run, io);
      else await certifyAll(command, args, model, dataset, run, io);
    } finally {
      await noise?.close();
    }
  });
}

/** What cannot be written is said before anything is computed. */
export async function tryOutput(command: string, args: Arguments, io: Streams): Promise<void> {
  const log = args.get("log");
  if (log !== undefined) return tryLog(log);
  const predicts = command === "predict";
  await io.out(predicts ? headerOf(predicted) : formatHeader(true, args.has("attack")));
}

const predicted = ["label", "predict", "pValue", "correct"];

/** Options that only one of certify and certify --adaptive has. */
function checkAdaptive(args: Arguments): void {
  if (args.has("adaptive"))
    args.refuse(
      ["n", "n0", "bound", "norm", "skip-wrong-guess", "attack"],
      "is not for --adaptive, whose options are --max-samples, --relative-width and --pilot",
    );
  else
    args.refuse(
      ["max-samples", "relative-width", "pilot"],
      "is for --adaptive; say --adaptive, or leave it out",
    );
}

type RunOptions = ReturnType<typeof runOptions> & {
  readonly model: string;
  readonly fingerprint: string | undefined;
  readonly seed: Seed;
};

const runOptions = (args: Arguments, io: Streams) => ({
  ...certificationOf(args),
  ...samplingOf(args, io),
  ...selectionOf(args),
});

async function threads(
  args: Arguments,
  { seed, sigma, distribution, sound }: RunOptions,
): Promise<WorkerNoise | undefined> {
  const workers = args.get("noise-workers");
  if (workers === undefined) return undefined;
  return noiseInWorkers(
    { seed, sigma, ...(distribution && { distribution }), ...(sound && { sound }) },
    { workers },
  );
}

async function warnOfProblems(
  command: string,
  { classifier }: LoadedModel,
  dataset: ImageDataset,
  args: Arguments,
  options: RunOptions,
  io: Streams,
): Promise<void> {
  const radius = args.get("radius");
  const grows = radius !== undefined || args.has("adaptive");
  const predicts = command === "predict";
  const n = grows ? (args.get("max-samples") ?? 100_000) : args.get("n");
  const mode = radius === undefined ? undefined : (args.get("mode") ?? "evaluate");
  const report = await preflight(classifier, dataset, { ...options, n, radius, mode });
  for (const warning of report.warnings) io.error(`warning: ${warning}\n`);
  if (args.has("quiet")) return;
  io.error(
    `${datasetName(dataset)}: accuracy ${percentText(report.cleanAccuracy)} % clean, ${percentText(report.noisyAccuracy)} % under noise on ${report.images} images${predicts ? "" : `; largest radius that can be certified ${report.largestRadius.toPrecision(4)}`}\n`,
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
  await printRows(start(), args, io);

  function start() {
    if (command === "at-radius") {
      const sequential = args.pick("max-samples", "patience", "mode");
      const radius = args.needed("radius");
      return certifyDatasetAtRadius(classifier, dataset, { ...options, ...sequential, radius });
    }
    if (!args.has("adaptive")) {
      const skipWrongGuess = args.has("skip-wrong-guess");
      const attack = args.has("attack") ? { radius: args.get("attack-radius") } : undefined;
      return certifyDataset(classifier, dataset, { ...options, skipWrongGuess, attack });
    }
    const adaptive = args.pick("relative-width", "max-samples", "pilot");
    return certifyDatasetAdaptive(classifier, dataset, { ...options, ...adaptive });
  }
}

async function predictAll(
  { classifier }: LoadedModel,
  dataset: ImageDataset,
  args: Arguments,
  { model, fingerprint, skip, max, indices, shard, ...sampling }: RunOptions,
  io: Streams,
): Promise<void> {
  const { numClasses, imageShape: shape } = dataset;
  const images = { command: "predict", dataset, args, seed: sampling.seed };
  await printImages(images, io, async ({ image, label, index }) => {
    const single = { ...sampling, numClasses, shape, index };
    const { prediction, pValue } = await predict(classifier, image, single);
    return [label, prediction, pValue, prediction === label ? 1 : 0];
  });
}
