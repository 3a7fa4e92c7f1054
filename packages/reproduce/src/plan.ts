import type { Executor } from "@dmae/nn";
import { resolveDmaeConfig } from "@dmae/pretrain/tasks";
import { createViT } from "@dmae/vit";
import { parameterShapes } from "@dmae/vit/parts";
import { learningRateByEpoch } from "./learning-rate.ts";
import { measureStep } from "./measure-step.ts";
import { modelOf } from "./model.ts";
import type { Options } from "./options.ts";
import { duration } from "./progress.ts";
import { ensembleOf, isClassifierRecipe, type Recipe, stagesOf } from "./recipe.ts";

/** Training images of the data sets. */
const lengths = { imagenet: 1_281_167, cifar10: 50_000 } as const;
/** Validation images. */
const testLengths = { imagenet: 50_000, cifar10: 10_000 } as const;

/** What a run will do, as text; with an executor a step is measured. */
export async function planOf(
  recipe: Recipe,
  options: Pick<Options, "from">,
  executor: Executor | undefined,
): Promise<string> {
  const { training, dataset } = recipe;
  const { batchSize, accumulate, epochs } = training;
  const stepsPerEpoch = Math.floor(lengths[dataset] / batchSize);
  const updates = Math.floor(stepsPerEpoch / accumulate);
  const count = parameterCount(recipe);
  const { members = 1 } = ensembleOf(recipe) ?? {};
  const trained = recipe.task === "probe" ? headCount(recipe) : count;
  const stateCopies = (recipe.task === "probe" ? 2 : 3) + (accumulate > 1 ? 1 : 0);
  const lines = [
    `${recipe.name}: ${recipe.paper}`,
    `source            ${training.source}`,
    `stages            ${stagesOf(recipe).join(", ")}`,
    `begins with       ${recipe.startsFrom === null ? "fresh parameters" : (options.from ?? `the result of ${recipe.startsFrom} (--from)`)}`,
    `images            ${thousands(lengths[dataset])} for training, ${thousands(testLengths[dataset])} for validation (${dataset})`,
    `parameters        ${(count / 1e6).toFixed(1)} million${members > 1 ? ` in each of ${members} classifiers` : ""}`,
    `effective batch   ${thousands(batchSize * accumulate)} = ${batchSize} images x ${accumulate} micro-batches`,
    `micro-batches     ${thousands(stepsPerEpoch)} an epoch, ${thousands(stepsPerEpoch * epochs)} in ${epochs} epochs`,
    `updates           ${thousands(updates)} an epoch, ${thousands(updates * epochs)} in all`,
    `learning rate     ${learningRates(recipe)}`,
    `memory            ${gigabytes(4 * trained * stateCopies)} for parameters, moments${accumulate > 1 ? " and accumulated gradients" : ""}; activations come on top`,
    ...certificationLines(recipe),
  ];
  if (executor) {
    const { images, seconds, peakBytes } = await measureStep(recipe, executor);
    const perImage = seconds / images;
    const total = perImage * batchSize * stepsPerEpoch * epochs * members;
    lines.push(
      `measured here     ${seconds.toFixed(2)} s for a micro-batch of ${images} on ${executor.name}, at most ${gigabytes(peakBytes)} of memory`,
      `training here     ${duration(total)}, were it as slow per image at ${batchSize} images`,
    );
  }
  return lines.join("\n");
}

function certificationLines(recipe: Recipe): string[] {
  if (!isClassifierRecipe(recipe)) return [];
  const { sigmas, n0, n, alpha, every } = recipe.certification;
  const images = Math.floor(testLengths[recipe.dataset] / every);
  return [
    `certification     ${thousands(images)} images, sigma ${sigmas.join(", ")}, n0 ${n0}, n ${thousands(n)}, alpha ${alpha}: at most ${thousands(images * (n0 + n) * sigmas.length)} forward passes`,
  ];
}

function learningRates(recipe: Recipe): string {
  const { training } = recipe;
  const { warmupEpochs, epochs } = training;
  const schedule = learningRateByEpoch(recipe);
  if ("sgd" in training && training.sgd) return stepRates(schedule, epochs);
  const at = [0, warmupEpochs, (warmupEpochs + epochs) / 2, epochs];
  return at.map((epoch) => `${schedule(epoch).toPrecision(3)} after ${epoch} epochs`).join(", ");
}

/** The rates of a schedule in steps: each with its epochs, counted from 1. */
function stepRates(schedule: (epoch: number) => number, epochs: number): string {
  const whole = Array.from({ length: epochs }, (_, epoch) => epoch);
  const starts = whole.filter((epoch) => epoch === 0 || schedule(epoch) !== schedule(epoch - 1));
  const rates = starts.map((start, i) => {
    const end = starts[i + 1] ?? epochs;
    const rate = schedule(start).toPrecision(3);
    return `${rate} in ${end - start === 1 ? `epoch ${end}` : `epochs ${start + 1} to ${end}`}`;
  });
  return [...rates.slice(0, 8), ...(rates.length > 8 ? ["…"] : [])].join(", ");
}

/** Numbers in the model that is trained, the decoder among them in pre-training. */
export function parameterCount(recipe: Recipe): number {
  if (isClassifierRecipe(recipe)) return classifierCount(modelOf(recipe.training));
  const {
    decoderWidth,
    decoderDepth,
    sigma: _,
    decoderHeads: __,
    ...encoder
  } = resolveDmaeConfig(recipe.training.model);
  const { width, patchSize, channels, imageSize, mlpRatio } = encoder;
  const patch = patchSize ** 2 * channels;
  const tokens = (imageSize / patchSize) ** 2 + 1;
  const block = (4 + 2 * mlpRatio) * decoderWidth ** 2 + (9 + mlpRatio) * decoderWidth;
  const decoder =
    (width + 1) * decoderWidth + // decoder_embed
    decoderWidth + // mask_token
    tokens * decoderWidth + // decoder_pos_embed
    decoderDepth * block +
    2 * decoderWidth + // decoder_norm
    (decoderWidth + 1) * patch; // decoder_pred
  return countOf(createViT(encoder, { numClasses: 0, globalPool: false }).config) + decoder;
}

const sizeOf = (shapes: Readonly<Record<string, readonly number[]>>) =>
  Object.values(shapes).reduce(
    (sum, shape) => sum + shape.reduce((product, side) => product * side, 1),
    0,
  );
const countOf = (config: Parameters<typeof parameterShapes>[0]) => sizeOf(parameterShapes(config));

/** Running statistics are left out. */
function classifierCount(model: ReturnType<typeof modelOf>): number {
  if ("features" in model) return countOf(model.config);
  const { shapes, buffers } = model;
  return sizeOf(Object.fromEntries(Object.entries(shapes).filter(([n]) => !buffers.includes(n))));
}

function headCount(recipe: Recipe): number {
  if (!isClassifierRecipe(recipe)) return 0;
  const { width, numClasses } = modelOf(recipe.training).config;
  return (width + 1) * numClasses;
}

const thousands = (value: number) => Math.round(value).toLocaleString("en");
const gigabytes = (bytes: number) =>
  bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
