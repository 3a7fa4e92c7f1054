import { foldIn, type HostTensor, type HostTensors, type ImageDataset, type Key } from "@dmae/core";
import {
  type BatchSource,
  rootKey,
  type TrainingOptions,
  type TrainingResult,
  trainModel,
} from "@dmae/train";
import {
  createViT,
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type TensorSource,
  type ViT,
} from "@dmae/vit";
import { type FinetuneEvaluation, trainingEvaluation } from "./evaluate-training.ts";
import { finetuneTask } from "./finetune-step.ts";
import { checkFinetuneRecipe, type FinetuneRecipe, sigmaRange } from "./recipe.ts";

/** Options of {@link robustFinetune}. */
export interface RobustFinetuneOptions extends TrainingOptions {
  /** Pre-trained parameters: a checkpoint, or the `encoder` of `pretrain`. Without it all are drawn. */
  readonly pretrained?: TensorSource | HostTensors;
  /** What may differ between `pretrained` and the classifier. */
  readonly loading?: Omit<FromPretrainedOptions, "key">;
  /** Regular evaluations under noise; the best state is kept as `best.safetensors`. */
  readonly evaluation?: FinetuneEvaluation;
}

/** What {@link robustFinetune} returns. */
export interface RobustFinetuneResult extends TrainingResult {
  /** The classifier. */
  readonly vit: ViT;
  /** What was loaded from `pretrained`, created and ignored; undefined without it. */
  readonly report: PretrainedReport | undefined;
}

/**
 * Fine-tunes a ViT into a classifier that is accurate under Gaussian noise: by Gaussian augmentation alone
 * (`consistency: null`, RS) or with consistency regularisation between noisy copies (CR), as the official scripts do.
 *
 * The same recipe, data and seed give the same numbers on the same executor, interrupted or not.
 *
 * @param data a data set, shuffled and augmented here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 * @throws DmaeError "argument" for a recipe or data that do not fit; "checkpoint" for parameters of another model; "numeric" when
 *   the loss is not finite; "resume" for a folder of another run
 *
 * @example
 * const { vit, params } = await robustFinetune(recipe, train, { pretrained: encoder, seed: 0 });
 */
export async function robustFinetune(
  recipe: FinetuneRecipe,
  data: ImageDataset | BatchSource,
  options: RobustFinetuneOptions = {},
): Promise<RobustFinetuneResult> {
  checkFinetuneRecipe(recipe);
  const key = rootKey(options.seed);
  const vit = createViT(recipe.model, recipe.config);
  const evaluation = trainingEvaluation("robustFinetune", vit, options, {
    ...{ key, sigma: sigmaRange(recipe.sigma)[1], batchSize: recipe.batchSize },
  });
  const { params, report } = await startingParams(vit, key, options);
  const task = { ...finetuneTask(vit.config, recipe, params), ...evaluation };
  const { trained, ...result } = await trainModel(task, data, options);
  return { ...result, vit, report };
}

/** Fresh parameters, or those of a pre-trained encoder with a fresh head. */
async function startingParams(
  vit: ViT,
  key: Key,
  { pretrained, loading }: Pick<RobustFinetuneOptions, "pretrained" | "loading">,
): Promise<{ params: Record<string, HostTensor>; report: PretrainedReport | undefined }> {
  const init = foldIn(key, "init");
  if (pretrained === undefined) return { params: vit.initHost(init), report: undefined };
  return fromPretrained(vit, pretrained, { ...loading, key: init });
}
