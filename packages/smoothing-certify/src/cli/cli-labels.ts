import { DmaeError, type ImageDataset } from "@dmae/core";
import { parseStrictJson } from "@dmae/core/checks";
import { show } from "../checks.ts";
import { traitsOf } from "../classifier/classifier.ts";
import { readRegularFile } from "../files.ts";
import type { Arguments } from "./cli-arguments.ts";
import type { LoadedModel } from "./cli-load.ts";

/** The data set with the labels and the number of classes of the model, by `--labels` and `--num-classes`. */
export async function relabelled(
  dataset: ImageDataset,
  { classifier }: LoadedModel,
  args: Arguments,
): Promise<ImageDataset> {
  const file = args.get("labels");
  const asked = args.get("num-classes");
  const known = traitsOf(classifier).numClasses;
  const numClasses = asked ?? known ?? dataset.numClasses;
  if (file === undefined && asked === undefined && numClasses !== dataset.numClasses)
    throw new DmaeError(
      "argument",
      `--labels is needed: the model has ${numClasses} classes, the data ${dataset.numClasses}; give a JSON file {"class of the data": class of the model, …}, or --num-classes ${numClasses} where the labels are the model's already`,
    );
  if (file === undefined) return withLabels(dataset, numClasses);
  const map = await readLabels(file);
  const names = dataset.classNames ?? Array.from({ length: dataset.numClasses }, (_, i) => `${i}`);
  const labels = names.map((name) => {
    const label = map[name];
    if (Number.isSafeInteger(label) && Number(label) >= 0 && Number(label) < numClasses)
      return Number(label);
    throw new DmaeError(
      "argument",
      `--labels: ${file} must give class ${JSON.stringify(name)} of the data an integer in [0, ${numClasses}), got ${show(label)}${label === undefined ? "" : "; say how many classes the model has with --num-classes"}`,
    );
  });
  return withLabels(dataset, numClasses, labels);
}

function withLabels(
  dataset: ImageDataset,
  numClasses: number,
  labels?: readonly number[],
): ImageDataset {
  const { name, length, imageShape } = dataset;
  if (numClasses === dataset.numClasses && !labels) return dataset;
  return {
    name,
    length,
    imageShape,
    numClasses,
    async get(index: number) {
      const item = await dataset.get(index);
      return labels ? { ...item, label: labels[item.label] ?? item.label } : item;
    },
  };
}

async function readLabels(file: string): Promise<Record<string, unknown>> {
  try {
    const text = new TextDecoder().decode(await readRegularFile(file, 2 ** 24));
    const map = parseStrictJson(text, 8);
    if (typeof map === "object" && map !== null && !Array.isArray(map))
      return map as Record<string, unknown>;
    throw new Error("it must be an object from class names to numbers");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `--labels: cannot read ${file}: ${reason}`, { file }, { cause });
  }
}
