import type { FloatArray } from "@dmae/core";
import type { Classifier } from "../classifier/classifier.ts";
import { certifyMultiLabel, certifySegmentation } from "../procedures/certify-components.ts";
import { certifyRegression } from "../procedures/certify-regression.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import type { Arguments } from "./cli-arguments.ts";
import { headerOf, printImages } from "./cli-images.ts";
import { withModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { samplingOf, seedOf } from "./cli-settings.ts";

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
        numClasses: args.needed("num-classes"),
        ...args.pick("tau"),
        output: args.get("answer"),
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
        ...args.pick("tau", "threshold"),
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
        radius: args.needed("radius"),
        ...args.pick("quantile"),
      });
      return [radius, samples, ...[value, lower, upper].map((list) => list.join(","))];
    },
  }),
};

/** Runs `segment`, `labels` or `regress`. */
export function runDense(command: string, args: Arguments, io: Streams): Promise<void> {
  const { columns, cells } = denseCommands[command]!(args);
  return withModel(args, async (model, dataset) => {
    const options = await sharedOptions(args, io);
    await io.out(headerOf(columns));
    const images = { command, dataset, args, seed: options.seed };
    await printImages(images, io, ({ image, index }) =>
      cells(model.classifier, image, { ...options, shape: dataset.imageShape, index }),
    );
  });
}

const sharedOptions = async (args: Arguments, io: Streams) => ({
  sigma: args.needed("sigma"),
  seed: await seedOf(args),
  ...args.pick("n", "n0", "alpha", "range"),
  ...samplingOf(args, io),
});

/** Values that repeat, as `3x120 -1x2`: class 3 120 times, then two that abstain. */
function runsOf(values: ArrayLike<number>): string {
  const runs: string[] = [];
  for (let start = 0, end = 0; start < values.length; start = end) {
    while (end < values.length && values[end] === values[start]) end++;
    runs.push(`${values[start]}x${end - start}`);
  }
  return runs.join(" ");
}
