import type { ConvNet } from "@dmae/convnet";
import {
  denoisedStabilityLoss,
  denoisingLoss,
  diffusionLoss,
  diffusionSchedule,
  diffusionSteps,
} from "@dmae/convnet/denoising";
import {
  foldIn,
  type HostTensor,
  type HostTensors,
  type ImageDataset,
  type Key,
  uniform,
} from "@dmae/core";
import { checkOptions, defined, type OptionNames } from "@dmae/core/checks";
import type { Model, Tensors } from "@dmae/nn";
import {
  adam,
  type BatchSource,
  type OpenRecipe,
  type TrainingOptions,
  type TrainingResult,
} from "@dmae/train";
import {
  batchNoise,
  checksum,
  type NoisyBatch,
  noiseKeys,
  prefixed,
  rootKey,
  trainingNames,
  trainModel,
  unprefixed,
  withDefaultBatch,
} from "@dmae/train/tasks";
import type * as tf from "@tensorflow/tfjs-core";
import { checkDenoiserRecipe, type DenoiserRecipe, isUNet } from "./denoiser-recipe.ts";
import { type DenoiserUse, hostDenoiser, type TrainedDenoiser } from "./host-denoiser.ts";
import { refuseBatchNorm } from "./refuse-batch-norm.ts";

/** Options of {@link trainDenoiser}. */
export interface TrainDenoiserOptions extends Omit<TrainingOptions, "onEvaluation"> {
  /** The frozen classifier of `"stability"`, and its parameters. */
  readonly classifier?: { readonly model: Model | ConvNet; readonly params: HostTensors };
}

const { onEvaluation: _, ...runNames } = trainingNames;
const denoiserNames = {
  ...runNames,
  classifier: { model: true, params: true },
} satisfies OptionNames<TrainDenoiserOptions>;

/** What {@link trainDenoiser} returns. */
export interface TrainDenoiserResult extends TrainingResult {
  /**
   * The trained denoiser for `denoised` of `@dmae/smoothing-certify`; it is compiled when it is first used. It throws
   * "shape" for images of another size than those of training.
   *
   * @throws DmaeError "argument" for a sigma that it has not learnt
   */
  denoiser(use?: DenoiserUse): TrainedDenoiser;
}

/**
 * Trains a denoiser by the loop that trains everything here: a DnCNN as in denoised smoothing (arXiv:2003.01908), or a U-Net that
 * predicts the noise of a diffusion model (arXiv:2006.11239), with Adam.
 *
 * The same recipe, data and seed give the same numbers on the same executor, interrupted or not.
 *
 * @param given what `denoiserRecipe` builds, or every field of it
 * @param data a data set, shuffled and augmented here, or a batch source; labels are not read
 * @throws DmaeError "argument" for a recipe that does not fit; "unsupported" for a DnCNN on several ranks
 * @example
 * const recipe = denoiserRecipe({ denoiser: createUNet({ channels: 1 }), sigma: 0.5 });
 * const trained = await trainDenoiser(recipe, train, { seed: 0 });
 * await certify(denoised(trained.denoiser(), classifier), image, { sigma: 0.5 });
 * await certify(denoised(trained.denoiser({ sigma: 1 }), classifier), image, { sigma: 1 }); // a U-Net
 */
export async function trainDenoiser(
  given: DenoiserRecipe | OpenRecipe<DenoiserRecipe>,
  data: ImageDataset | BatchSource,
  options: TrainDenoiserOptions = {},
): Promise<TrainDenoiserResult> {
  checkOptions("trainDenoiser", options, denoiserNames);
  const recipe = withDefaultBatch<DenoiserRecipe>("trainDenoiser", given, data);
  checkDenoiserRecipe(recipe, options.classifier !== undefined);
  const { classifier, ...training } = options;
  const { denoiser, weightDecay, beta1, beta2, ...facts } = recipe;
  const buffers = isUNet(denoiser) ? [] : denoiser.buffers;
  refuseBatchNorm("trainDenoiser", { buffers }, options.world);
  const own = denoiser.initHost(foldIn(rootKey(options.seed), "init"));
  const frozen = prefixed("classifier.", classifier?.params ?? {});
  const result = await trainModel(
    {
      caller: "trainDenoiser",
      task: "train-denoiser",
      recipe: {
        ...{ ...facts, denoiser: denoiser.config, weightDecay, beta1, beta2 },
        ...(classifier ? { classifier: checksum(classifier.params) } : {}),
      },
      images: { imageShape: data.imageShape },
      objective: {
        loss: (params, batch) => lossOf(recipe, classifier?.model, params, batch),
        inputs: (batch, { key, epoch }) => inputsOf(recipe, batch, key, epoch),
      },
      params: { ...own, ...frozen },
      trainable: Object.keys(own).filter((name) => !buffers.includes(name)),
      buffers,
      optimizer: adam({ beta1, beta2, weightDecay }),
      finish: (params) =>
        Object.fromEntries(Object.entries(params).filter(([name]) => Object.hasOwn(own, name))),
    },
    data,
    training,
  );
  const { trained: _, ...rest } = result;
  const { executor } = options;
  return {
    ...rest,
    denoiser: (use = {}) =>
      hostDenoiser(recipe, rest.params, data.imageShape, { executor, ...defined(use) }),
  };
}

function lossOf(
  { denoiser, objective }: DenoiserRecipe,
  classifier: Model | undefined,
  params: Tensors,
  batch: Tensors,
) {
  const { images, noisy, noise, signal, spread, time } = batch as Record<string, tf.Tensor>;
  if (isUNet(denoiser)) {
    const predict = (x: tf.Tensor, t: tf.Tensor) => denoiser.predict(ownOf(params), x, t);
    const draws = { noise: noise!, signal: signal!, spread: spread!, time: time! };
    return { loss: diffusionLoss(predict, images!, draws) };
  }
  const output = denoiser.denoise(ownOf(params), noisy!, { training: true });
  if (objective === "denoising") return denoisingLoss(output, images!);
  const frozen = unprefixed("classifier.", params);
  return denoisedStabilityLoss(output, images!, (x) => classifier!.apply(frozen, x).logits);
}

const ownOf = (params: Tensors): Tensors =>
  Object.fromEntries(Object.entries(params).filter(([name]) => !name.startsWith("classifier.")));

/** Clean images with the noise of this epoch; for a diffusion a step for each image. */
function inputsOf(
  { objective, sigma, schedule = "cosine" }: DenoiserRecipe,
  batch: NoisyBatch,
  key: Key,
  epoch: number,
): HostTensors {
  const shape = [batch.size, ...batch.imageShape];
  const noise = batchNoise(batch, noiseKeys(key, 1)(epoch));
  const tensor = (data: Float32Array): HostTensor => ({ dtype: "float32", shape, data });
  const images = tensor(batch.images);
  if (objective !== "diffusion")
    return { images, noisy: tensor(noise.map((value, i) => batch.images[i]! + sigma * value)) };
  const levels = diffusionSchedule(schedule);
  const stepKey = foldIn(foldIn(key, "diffusion-step"), epoch);
  const count = levels.alphaBars.length;
  const steps = Array.from(batch.indices, (index) =>
    Math.min(count - 1, Math.floor(count * uniform(stepKey, new Float64Array(1), { index })[0]!)),
  );
  return { images, noise: tensor(noise), ...diffusionSteps(levels, steps) };
}
