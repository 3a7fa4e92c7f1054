import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createMethod } from "@dmae/certified-training";
import { loadCheckpoint } from "@dmae/checkpoint";
import { DmaeError, type HostTensor } from "@dmae/core";
import { trainedClassifier } from "./classifier.ts";
import { modelOf } from "./model.ts";
import { modelFiles } from "./model-files.ts";
import type { Options } from "./options.ts";
import { progressLine } from "./progress.ts";
import { type ClassifierRecipe, ensembleOf, isClassifierRecipe, type Recipe } from "./recipe.ts";
import { isFirst, type Run } from "./run.ts";
import { makeSoftLabels, readSoftLabels } from "./soft-labels.ts";

/** A finished run whose classifier makes soft labels. */
type Teacher = Pick<Run, "folder"> & { readonly recipe: ClassifierRecipe };

/** What `--soft-labels` names. */
export interface SoftLabelSource {
  /** The source in words, for the plan. */
  readonly text: string;
  /** A file of soft labels, or undefined for even ones, with `--smoke`. */
  readonly file: string | undefined;
  /** The run that fills the file. */
  readonly teacher?: Teacher;
}

/**
 * What a recipe's soft labels come from; undefined for a method that needs none.
 *
 * @throws DmaeError "argument" where `--soft-labels` is missing, out of place or does not fit the recipe; "file" for
 *   a path that holds neither soft labels nor a trained classifier
 */
export async function softLabelSource(
  recipe: Recipe,
  { softLabels: path, smoke }: Pick<Options, "softLabels" | "smoke">,
): Promise<SoftLabelSource | undefined> {
  const { name } = recipe;
  const method = recipe.task === "finetune" ? recipe.training.method : undefined;
  const settled = method && ("loss" in method ? method : createMethod(method));
  if (!settled?.needsSoftLabels) {
    if (path === undefined) return undefined;
    throw new DmaeError(
      "argument",
      `--soft-labels: ${name} trains without soft labels; leave --soft-labels out`,
    );
  }
  if (path !== undefined) return openSource(recipe as ClassifierRecipe, path);
  if (smoke) return { text: "even, with --smoke", file: undefined };
  throw new DmaeError(
    "argument",
    `--soft-labels: ${name} trains by ${settled.settings.name}, which needs another classifier's answers to noisy copies of each training image; train one with the method gaussian and name its run folder, whose soft labels are made once and kept there, or name a .safetensors file with a tensor softLabels [images, classes]`,
  );
}

async function openSource(recipe: ClassifierRecipe, path: string): Promise<SoftLabelSource> {
  const { numClasses } = modelOf(recipe.training);
  const found = await stat(path).catch((cause: Error) => {
    const message = `--soft-labels: cannot read ${path}: ${cause.message}`;
    throw new DmaeError("file", message, { file: path }, { cause });
  });
  if (!found.isDirectory()) {
    const shape = await shapeOf(path);
    if (shape?.length === 2 && shape[1] === numClasses) return { text: path, file: path };
    throw new DmaeError(
      "argument",
      `--soft-labels: ${path} must hold a tensor softLabels [images, ${numClasses}], got ${shape ? `[${shape}]` : "none"}`,
      { file: path },
    );
  }
  const teacher = await openTeacher(path);
  const { config, numClasses: classes } = modelOf(teacher.recipe.training);
  const { inputSize } = modelOf(recipe.training).config;
  if (classes !== numClasses || config.inputSize !== inputSize)
    throw new DmaeError(
      "argument",
      `--soft-labels: the classifier of ${path} must take the images of ${recipe.name}, ${numClasses} classes at ${inputSize}x${inputSize}, got ${classes} at ${config.inputSize}x${config.inputSize}`,
    );
  const text = `by ${teacher.recipe.name} in ${path}, at sigma ${sigmaOf(teacher)}`;
  return { text, file: join(path, "soft-labels.safetensors"), teacher };
}

async function shapeOf(file: string): Promise<readonly number[] | undefined> {
  const checkpoint = await loadCheckpoint(file);
  try {
    if (!checkpoint.names.includes("softLabels")) return undefined;
    return checkpoint.spec("softLabels").shape;
  } finally {
    await checkpoint.close();
  }
}

async function openTeacher(folder: string): Promise<Teacher> {
  const text = await readFile(join(folder, "recipe.json"), "utf8").catch(() => "{}");
  const { recipe } = JSON.parse(text) as { recipe?: Recipe };
  const isOne = recipe && isClassifierRecipe(recipe) && !ensembleOf(recipe);
  if (isOne && (await stat(modelFiles({ folder, recipe })[0]!).catch(() => undefined)))
    return { folder, recipe };
  throw new DmaeError(
    "file",
    `--soft-labels: ${folder} must be the run folder of a trained classifier, and not of an ensemble; train it to the end first`,
    { file: folder },
  );
}

/** The noise that the classifier was trained under, the largest where it was an interval. */
function sigmaOf({ recipe }: Teacher): number {
  const { sigma } = recipe.training;
  return typeof sigma === "number" ? sigma : sigma[1];
}

/**
 * The soft labels to train on, `[N, K]` for N training images; undefined for a method that needs none. Those of
 * another run's classifier are made once and kept in that run's folder.
 */
export async function softLabelsFor(
  run: Run,
  recipe: ClassifierRecipe,
): Promise<HostTensor | undefined> {
  const source = await softLabelSource(recipe, run.options);
  if (!source) return undefined;
  const { train } = run.data;
  const { numClasses } = modelOf(recipe.training);
  if (source.file === undefined) return evenSoftLabels(train.length, numClasses);
  if (!isFirst(run.world)) await run.world?.barrier();
  const labels = source.teacher
    ? await made(run, source.file, source.teacher)
    : await readSoftLabels(source.file);
  if (isFirst(run.world)) await run.world?.barrier();
  if (labels.shape[0] === train.length) return labels;
  throw new DmaeError(
    "argument",
    `--soft-labels: ${source.file} must have a row for each of the ${train.length} training images, got ${labels.shape[0]}`,
  );
}

async function made(run: Run, file: string, teacher: Teacher): Promise<HostTensor> {
  const { model, members } = await trainedClassifier(teacher, teacher.recipe);
  const line = progressLine("soft labels", "images", run.say);
  const labels = await makeSoftLabels(model, members[0]!, run.data.train, {
    executor: run.executor,
    sigma: sigmaOf(teacher),
    file,
    onProgress: line.update,
    signal: run.signal,
  });
  line.end(file);
  return labels;
}

/** Soft labels that say nothing, to exercise the code. */
export function evenSoftLabels(length: number, numClasses: number): HostTensor {
  const data = new Float32Array(length * numClasses).fill(1 / numClasses);
  return { dtype: "float32", shape: [length, numClasses], data };
}
