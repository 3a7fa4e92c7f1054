import type { FloatArray } from "@dmae/core";
import type { Classifier } from "../classifier/classifier.ts";
import type { Range } from "../classifier/range.ts";
import { formatSeed } from "../noise/fresh-seed.ts";
import { certifyMultiLabel, certifySegmentation } from "../procedures/certify-components.ts";
import { certifyRegression } from "../procedures/certify-regression.ts";
import type { LogitsLayout } from "../procedures/component-decoders.ts";
import { readItem, selectIndices } from "../run/dataset-selection.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import type { Arguments } from "./cli-arguments.ts";
import { loadData, loadModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { batchesOf, given, seedOf, selectionOf } from "./cli-run.ts";

/** One certificate of many outputs. */
interface DenseCommand {
  readonly columns: readonly string[];
  /** The cells of an image, without its index and the seed. */
  cells(model: Classifier, image: FloatArray, options: Shared): Promise<readonly unknown[]>;
}

type Shared = Awaited<ReturnType<typeof sharedOptions>> & {
  readonly shape: readonly number[];
  readonly index: number;
};

/** Commands that certify many outputs of each image; they print a line an image. */
export const denseCommands: Readonly<Record<string, (args: Arguments) => DenseCommand>> = {
  segment: (args) => ({
    columns: ["radius", "samples", "components", "abstained", "classes"],
    async cells(model, image, options) {
      const found = await certifySegmentation(model, image, {
        ...options,
        numClasses: Number(args.needed("num-classes")),
        ...given({ tau: args.number("tau"), output: args.text("answer") as LogitsLayout }),
      });
      const { radius, samples, predictions, abstained } = found;
      return [radius, samples, predictions.length, abstained, runsOf(predictions)];
    },
  }),
  labels: (args) => ({
    columns: ["radius", "samples", "present", "absent", "abstained"],
    async cells(model, image, options) {
      const { radius, samples, predictions } = await certifyMultiLabel(model, image, {
        ...options,
        ...given({ tau: args.number("tau"), threshold: args.number("threshold") }),
      });
      const lists = [1, 0, ABSTAIN].map((value) =>
        [...predictions.keys()].filter((label) => predictions[label] === value).join(","),
      );
      return [radius, samples, ...lists];
    },
  }),
  regress: (args) => ({
    columns: ["radius", "samples", "value", "lower", "upper"],
    async cells(model, image, { n0: _, ...options }) {
      const { radius, samples, value, lower, upper } = await certifyRegression(model, image, {
        ...options,
        radius: Number(args.needed("radius")),
        ...given({ quantile: args.number("quantile") }),
      });
      return [radius, samples, ...[value, lower, upper].map((list) => list.join(","))];
    },
  }),
};

/** Runs `segment`, `labels` or `regress`. */
export async function runDense(command: string, args: Arguments, io: Streams): Promise<void> {
  for (const name of ["model", "data", "sigma"] as const) args.needed(name);
  if (command === "segment") args.needed("num-classes");
  if (command === "regress") args.needed("radius");
  const { columns, cells } = denseCommands[command]!(args);
  const dataset = await loadData(args);
  const model = await loadModel(args);
  try {
    const options = await sharedOptions(args, io);
    await io.out(`${["idx", ...columns, "seed"].join("\t")}\n`);
    for (const index of selectIndices(command, dataset, selectionOf(args))) {
      const { image } = await readItem(command, dataset, index);
      const shared = { ...options, shape: dataset.imageShape, index };
      const found = await cells(model.classifier, image, shared);
      await io.out(`${[index, ...found, formatSeed(options.seed)].join("\t")}\n`);
    }
  } finally {
    await model.dispose();
  }
}

async function sharedOptions(args: Arguments, io: Streams) {
  const seed = await seedOf(args);
  return given({
    sigma: args.number("sigma")!,
    seed,
    n: args.number("n"),
    n0: args.number("n0"),
    alpha: args.number("alpha"),
    range: args.numbers("range") as Range | undefined,
    randomized: args.on("randomized"),
    ...batchesOf(args),
    signal: io.signal,
  });
}

/** Values that repeat, as `3x120 -1x2`: class 3 120 times, then two that abstain. */
function runsOf(values: ArrayLike<number>): string {
  const runs: string[] = [];
  for (let start = 0, end = 0; start < values.length; start = end) {
    while (end < values.length && values[end] === values[start]) end++;
    runs.push(`${values[start]}x${end - start}`);
  }
  return runs.join(" ");
}
