import {
  DmaeError,
  foldIn,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
} from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import type { Tensors } from "@dmae/nn";
import {
  adamw,
  type BatchSource,
  type OpenRecipe,
  type TrainingOptions,
  type TrainingResult,
  type TrainingTask,
} from "@dmae/train";
import {
  decayGroups,
  inOrderOf,
  rootKey,
  trainingNames,
  trainModel,
  withDefaultBatch,
} from "@dmae/train/tasks";
import { createDmae, type Dmae, type DmaeInputs } from "./dmae.ts";
import { pretrainInputs } from "./inputs.ts";
import { checkPretrainRecipe, type PretrainRecipe } from "./recipe.ts";

/** Options of {@link pretrain}. */
export interface PretrainOptions extends Omit<TrainingOptions, "onEvaluation"> {
  /** Parameters to go on from (continued pre-training) instead of fresh ones. */
  readonly initialParams?: HostTensors | undefined;
  /** Optimizer state that belongs to `initialParams`, e.g. `optimizerState(…)` of `@dmae/checkpoint/resume`. */
  readonly initialOptimizer?: {
    /** `exp_avg.<name>` and `exp_avg_sq.<name>`. */
    readonly tensors: HostTensors;
    /** Updates made. */
    readonly step: number;
  };
}

const { onEvaluation: _, ...runNames } = trainingNames;
const pretrainNames = {
  ...runNames,
  initialParams: "tensors",
  initialOptimizer: true, // `optimizerState` of `@dmae/checkpoint/resume` says more
} satisfies OptionNames<PretrainOptions>;

/** What {@link pretrain} returns. */
export interface PretrainResult extends TrainingResult {
  /** The encoder's parameters: what `robustFinetune` and `linearProbe` take as `pretrained`. */
  readonly encoder: Record<string, HostTensor>;
  /** The model. */
  readonly dmae: Dmae;
}

/**
 * Pre-trains a DMAE (or, with sigma 0 and region "masked", an MAE) as the official scripts do: AdamW, per-step cosine
 * schedule with warm-up, learning rate scaled with the effective batch, fixed positions.
 *
 * The same recipe, data and seed give the same numbers on the same executor, interrupted or not.
 *
 * @param given the recipe: one of `pretrainRecipes`, or what `pretrainRecipe` builds
 * @param data a data set, shuffled and augmented here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 * @returns all parameters, encoder and decoder, in the names and layouts of the official state dict
 * @throws DmaeError "argument" for a recipe or data that do not fit; "numeric" when the loss is not finite; "resume" for a
 *   folder of another run
 *
 * @example
 * const { encoder } = await pretrain(recipe, train, { seed: 0, folder: "runs/a" });
 */
export async function pretrain(
  given: PretrainRecipe | OpenRecipe<PretrainRecipe>,
  data: ImageDataset | BatchSource,
  options: PretrainOptions = {},
): Promise<PretrainResult> {
  checkOptions("pretrain", options, pretrainNames);
  const recipe = withDefaultBatch<PretrainRecipe>("pretrain", given, data);
  checkPretrainRecipe(recipe);
  const { initialParams, initialOptimizer, ...training } = options;
  const dmae = createDmae(recipe.model, { sigma: recipe.sigma });
  const { patchSize, channels } = dmae.config;
  if (recipe.normPixLoss && patchSize * patchSize * channels < 2)
    throw new DmaeError(
      "argument",
      "pretrain: normPixLoss needs patches of 2 values or more, got patchSize 1 of 1 channel; set normPixLoss: false, or a larger patchSize",
    );
  if (initialOptimizer !== undefined && initialParams === undefined)
    throw new DmaeError(
      "argument",
      "pretrain: initialOptimizer belongs to initialParams, which are missing",
    );
  if (initialOptimizer !== undefined && !(initialOptimizer?.step >= 0))
    throw new DmaeError(
      "argument",
      `pretrain: initialOptimizer.step must be the number of updates made, got ${initialOptimizer?.step}`,
      { value: initialOptimizer.step },
    );
  const params = initialParams
    ? inOrderOf(dmae.initHost({ high: 0, low: 0 }), initialParams, ownNames)
    : dmae.initHost(foldIn(rootKey(options.seed), "init"));
  const { trained: _, ...result } = await trainModel(
    {
      ...pretrainTask(dmae, recipe, params),
      ...(initialParams && { given: { ...params, ...initialOptimizer?.tensors } }),
      ...(initialOptimizer && { initialOptimizer }),
    },
    data,
    training,
  );
  return { ...result, encoder: encoderOf(result.params), dmae };
}

const ownNames = "pretrain: initialParams must have the model's names and shapes";

/** Pre-training as a task for `trainModel` or `taskStep` of `@dmae/train/tasks`. */
export function pretrainTask(
  dmae: Dmae,
  recipe: PretrainRecipe,
  params: HostTensors,
): TrainingTask {
  const { weightDecay, beta1, beta2, normPixLoss, region, maskRatio } = recipe;
  const { inputSize, channels } = dmae.config;
  const groups = decayGroups(params, { weightDecay, frozen: dmae.frozen });
  return {
    caller: "pretrain",
    task: "pretrain",
    recipe: { ...recipe, ...{ model: dmae.config } },
    images: { imageShape: [inputSize, inputSize, channels] },
    objective: {
      loss: (all: Tensors, batch: Tensors) => ({
        loss: dmae.loss(all, batch as unknown as DmaeInputs, { normPixLoss, region }),
      }),
      inputs: (batch, { key, epoch }) =>
        pretrainInputs(batch, { key, epoch, length: dmae.length, maskRatio }),
    },
    params,
    trainable: Object.keys(groups),
    optimizer: adamw({ beta1, beta2, groups }),
  };
}

function encoderOf(params: Readonly<Record<string, HostTensor>>): Record<string, HostTensor> {
  const isEncoder = (name: string) => !name.startsWith("decoder_") && name !== "mask_token";
  return Object.fromEntries(Object.entries(params).filter(([name]) => isEncoder(name)));
}
