import { defaultExecutor } from "@dmae/compile/executors";
import { diffusionSchedule, type HostDenoiser, oneShotDenoiser } from "@dmae/convnet/denoising";
import { DmaeError, type HostTensor, type HostTensors, type ImageShape } from "@dmae/core";
import { checkOptions, show } from "@dmae/core/checks";
import type { PreparedFunction, TensorSpecs, Tensors } from "@dmae/nn";
import { checksum } from "@dmae/train/tasks";
import { type DenoiserRecipe, isUNet } from "./denoiser-recipe.ts";
import { checkBatchSize } from "./evaluation-checks.ts";
import type { ProgramUse } from "./program-use.ts";

/** A denoiser of batches in ordinary memory, and what frees its program. */
export type TrainedDenoiser = HostDenoiser & {
  /** Frees the program that the first call prepared. */
  dispose(): Promise<void>;
};

/** How a trained denoiser runs. */
export interface DenoiserUse extends ProgramUse {
  /**
   * Standard deviation of the noise to take away, in images in [0, 1]; default the recipe's, and for a DnCNN no other: a
   * U-Net has learnt all levels.
   */
  readonly sigma?: number | undefined;
}

/**
 * The trained denoiser as `denoised` of `@dmae/smoothing-certify` takes it; compiled when it is first used.
 *
 * @returns a function of `[n, H, W, C]` images, of the size that it was trained on; it throws "shape" for another one
 * @throws DmaeError "argument" for a sigma that the denoiser has not learnt
 */
export function hostDenoiser(
  { denoiser, schedule = "cosine", ...recipe }: DenoiserRecipe,
  params: HostTensors,
  imageShape: ImageShape,
  use: DenoiserUse = {},
): TrainedDenoiser {
  checkOptions("denoiser", use, { batchSize: true, executor: "executor", sigma: true });
  const { batchSize = 64, executor, sigma = recipe.sigma } = use;
  checkBatchSize("denoiser", batchSize);
  if (!isUNet(denoiser) && sigma !== recipe.sigma)
    throw new DmaeError(
      "argument",
      `denoiser: sigma of a DnCNN must be that of its training, ${recipe.sigma}, got ${show(sigma)}`,
    );
  const fn = ({ images, time, ...weights }: Tensors) => ({
    out: isUNet(denoiser)
      ? denoiser.predict(weights, images!, time!)
      : denoiser.denoise(weights, images!).denoised,
  });
  const times = isUNet(denoiser) ? { time: { shape: [batchSize] } } : {};
  const specs: TensorSpecs = { images: { shape: [batchSize, ...imageShape] }, ...times };
  const program = inBatches(batchSize, imageShape, async () =>
    (executor ?? (await defaultExecutor())).prepareFunction({ fn, specs, constants: params }),
  );
  const weights = checksum(params);
  const predict = (images: Float32Array, _: readonly number[], time: number) => {
    const data = new Float32Array(batchSize).fill(time);
    return program.run(images, { time: { dtype: "float32", shape: [batchSize], data } });
  };
  const denoise = isUNet(denoiser)
    ? oneShotDenoiser({
        ...{ schedule: diffusionSchedule(schedule), sigma },
        predict: Object.assign(predict, { fingerprint: `params ${weights}` }),
      })
    : Object.assign((batch: Float32Array) => program.run(batch, {}), {
        fingerprint: JSON.stringify(["denoiser", weights, sigma]),
      });
  return Object.assign(
    async (batch: Float32Array, shape: readonly number[]): Promise<Float32Array> => {
      requireImages(imageShape, batch, shape);
      return denoise(batch, shape);
    },
    { fingerprint: denoise.fingerprint, dispose: program.dispose },
  );
}

/** Images of another size would be cut into images of this one, across their borders. */
function requireImages(
  imageShape: ImageShape,
  batch: Float32Array,
  shape: readonly number[],
): void {
  if (`${shape.slice(1)}` === `${imageShape}` && batch.length === size(shape)) return;
  throw new DmaeError(
    "shape",
    `denoiser: the batch must be [n, ${imageShape.join(", ")}], as in training, got [${shape.join(", ")}] and ${batch.length} numbers`,
  );
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Runs a program of fixed batches over any number of images; the last batch is padded. */
function inBatches(
  batchSize: number,
  imageShape: ImageShape,
  prepare: () => Promise<PreparedFunction>,
) {
  let ready: Promise<PreparedFunction> | undefined;
  const pixels = size(imageShape);
  return {
    async run(images: Float32Array, more: HostTensors): Promise<Float32Array> {
      ready ??= prepare();
      const program = await ready;
      const out = new Float32Array(images.length);
      for (let from = 0; from < images.length; from += batchSize * pixels) {
        const padded = new Float32Array(batchSize * pixels);
        const part = images.subarray(from, from + padded.length);
        padded.set(part);
        const shape = [batchSize, ...imageShape];
        const batch: HostTensor = { dtype: "float32", shape, data: padded };
        const { out: result } = await program({ images: batch, ...more });
        out.set((result!.data as Float32Array).subarray(0, part.length), from);
      }
      return out;
    },
    async dispose() {
      (await ready)?.dispose();
      ready = undefined;
    },
  };
}
