import {
  DmaeError,
  foldIn,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
  type Key,
} from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import type { Model } from "@dmae/nn";
import type { BatchSource, OpenRecipe, TrainingOptions, TrainingResult } from "@dmae/train";
import { inOrderOf, rootKey, trainingNames, trainModel, withDefaultBatch } from "@dmae/train/tasks";
import {
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type TensorSource,
  type ViT,
} from "@dmae/vit";
import { type FinetuneEvaluation, trainingEvaluation } from "./evaluate-training.ts";
import { finetuneTask } from "./finetune-step.ts";
import {
  buildModel,
  checkFinetuneRecipe,
  type FinetuneRecipe,
  isViT,
  methodOf,
  sigmaRange,
} from "./recipe.ts";
import { refuseBatchNorm } from "./refuse-batch-norm.ts";
import { checkSoftLabels } from "./soft-labels.ts";
import { type TrainedClassifier, trainedClassifier } from "./trained-classifier.ts";

/** Options of {@link robustFinetune}. */
export interface RobustFinetuneOptions extends TrainingOptions {
  /**
   * Pre-trained parameters: a checkpoint, or the `encoder` of `pretrain`; for a model that is no ViT all of its own, such
   * as `loadConvNet` gives. Without it all are drawn.
   */
  readonly pretrained?: TensorSource | HostTensors | undefined;
  /** What may differ between `pretrained` and the classifier, a ViT. */
  readonly loading?: Omit<FromPretrainedOptions, "key"> | undefined;
  /**
   * `[N, K]` float32, for CAT-RS alone: another model's class frequencies for every image of the data set, in its order;
   * each row is 0 or more with the sum 1.
   */
  readonly softLabels?: HostTensor | undefined;
  /**
   * Regular evaluations under noise; with `folder` the best state is kept there as `best.safetensors`. What is returned is
   * of the last step.
   */
  readonly evaluation?: FinetuneEvaluation | undefined;
}

/** The names of {@link RobustFinetuneOptions}. */
export const finetuneNames = {
  ...trainingNames,
  pretrained: true,
  loading: { allow: true, fresh: true, rename: true },
  softLabels: "tensor",
  evaluation: { dataset: true, everyEpochs: true, limit: true, sigma: true },
} satisfies OptionNames<RobustFinetuneOptions>;

/** What {@link robustFinetune} returns; `program` and `classifier` take the `averaged` parameters where there are some. */
export interface RobustFinetuneResult<M extends Model = ViT>
  extends TrainingResult,
    TrainedClassifier {
  /** The classifier. */
  readonly model: M;
  /** What was loaded from `pretrained`, created and ignored; undefined without it. */
  readonly report: PretrainedReport | undefined;
}

/**
 * Trains a classifier that is accurate under Gaussian noise by the method that the recipe names: Gaussian augmentation
 * (RS), consistency regularisation (CR), SmoothAdv, MACER, SmoothMix, CAT-RS, Stability. The model is a ViT, from a DMAE
 * checkpoint or from scratch, or any other {@link Model}.
 *
 * The same recipe, data and seed give the same numbers on the same executor, interrupted or not.
 *
 * @param recipe one of `finetuneRecipes`, or what `finetuneRecipe` builds
 * @param data a data set, shuffled and augmented here, or a batch source such as `batchLoader(…)` of `@dmae/datasets`
 * @throws DmaeError "argument" for a recipe or data that do not fit; "checkpoint" for parameters of another model; "numeric" when
 *   the loss is not finite; "resume" for a folder of another run
 *
 * @example
 * const tuned = await robustFinetune(recipe, train, { pretrained: encoder, seed: 0 });
 * await certify(tuned.classifier(), image, { sigma: 0.25 });
 * await writeFile("model.onnx", exportOnnx(tuned.program(), { dynamicBatch: true }));
 */
export async function robustFinetune(
  recipe: FinetuneRecipe | OpenRecipe<FinetuneRecipe>,
  data: ImageDataset | BatchSource,
  options?: RobustFinetuneOptions,
): Promise<RobustFinetuneResult>;
/** The same for any other model. */
export async function robustFinetune<M extends Model>(
  recipe: FinetuneRecipe<M> | OpenRecipe<FinetuneRecipe<M>>,
  data: ImageDataset | BatchSource,
  options?: RobustFinetuneOptions,
): Promise<RobustFinetuneResult<M>>;
export async function robustFinetune(
  given: FinetuneRecipe<Model> | OpenRecipe<FinetuneRecipe<Model>>,
  data: ImageDataset | BatchSource,
  options: RobustFinetuneOptions = {},
): Promise<RobustFinetuneResult<Model>> {
  checkOptions("robustFinetune", options, finetuneNames);
  const recipe = withDefaultBatch<FinetuneRecipe<Model>>("robustFinetune", given, data);
  checkFinetuneRecipe(recipe);
  const key = rootKey(options.seed);
  const model = buildModel(recipe.model);
  refuseBatchNorm("robustFinetune", model, options.world);
  const method = methodOf(recipe);
  checkSoftLabels(options.softLabels, {
    ...{ isNeeded: method.needsSoftLabels, method: method.settings.name },
    ...{ numClasses: model.numClasses, length: "length" in data ? data.length : undefined },
  });
  const evaluation = trainingEvaluation("robustFinetune", model, options, {
    ...{ key, sigma: sigmaRange(recipe.sigma)[1], batchSize: recipe.batchSize },
  });
  const { params, report } = isViT(model)
    ? await startingParams(model, key, options)
    : { params: ownParams(model, key, options), report: undefined };
  const task = {
    ...finetuneTask(model, recipe, params, options.softLabels),
    ...evaluation,
    given: options.pretrained && params,
  };
  const { pretrained, loading, softLabels, evaluation: _, ...training } = options;
  const { trained, ...result } = await trainModel(task, data, training);
  const measured = result.averaged ?? result.params; // what evaluations measure
  return { ...result, model, report, ...trainedClassifier(model, measured, options) };
}

/** Fresh parameters of a model that is no ViT, or given ones of the same names and shapes. */
function ownParams(
  model: Model,
  key: Key,
  { pretrained, loading }: Pick<RobustFinetuneOptions, "pretrained" | "loading">,
): HostTensors {
  if (loading !== undefined)
    throw new DmaeError(
      "argument",
      "robustFinetune: loading must be left out for a model that is no ViT: pretrained has its names and shapes",
    );
  const fresh = model.initHost(foldIn(key, "init"));
  if (pretrained === undefined) return fresh;
  const rule =
    "robustFinetune: pretrained must hold the parameters of the model as HostTensors, and no others";
  return inOrderOf(fresh, pretrained as HostTensors, rule);
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
