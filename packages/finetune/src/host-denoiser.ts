import { defaultExecutor } from "@dmae/compile/executors";
import { diffusionSchedule, type HostDenoiser, oneShotDenoiser } from "@dmae/convnet/denoising";
import type { HostTensor, HostTensors, ImageShape } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, PreparedFunction, TensorSpecs, Tensors } from "@dmae/nn";
import { checksum } from "@dmae/train/tasks";
import { type DenoiserRecipe, isUNet } from "./denoiser-recipe.ts";

/** A denoiser of batches in ordinary memory, and what frees its program. */
export type TrainedDenoiser = HostDenoiser & {
  /** Frees the program that the first call prepared. */
  dispose(): Promise<void>;
};

/** How a trained denoiser runs. */
export interface DenoiserUse {
  /** Images in a call of the program; default 64. */
  readonly batchSize?: number;
  /** Runs the program; default: the executor that trained. */
  readonly executor?: Executor;
}

/** The trained denoiser as `denoised` of `@dmae/smoothing-certify` takes it; compiled when it is first used. */
export function hostDenoiser(
  { denoiser, sigma, schedule = "cosine" }: DenoiserRecipe,
  params: HostTensors,
  imageShape: ImageShape,
  use: DenoiserUse = {},
): TrainedDenoiser {
  checkOptions("denoiser", use, { batchSize: true, executor: true });
  const { batchSize = 64, executor } = use;
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
  const denoise = isUNet(denoiser)
    ? oneShotDenoiser({
        schedule: diffusionSchedule(schedule),
        sigma,
        predict: (images, _, time) =>
          program.run(images, {
            time: {
              ...{ dtype: "float32", shape: [batchSize] },
              data: new Float32Array(batchSize).fill(time),
            } as HostTensor,
          }),
      })
    : (batch: Float32Array) => program.run(batch, {});
  const fingerprint = JSON.stringify(["denoiser", checksum(params), sigma]);
  return Object.assign(
    (batch: Float32Array, shape: readonly number[]): Promise<Float32Array> => denoise(batch, shape),
    { fingerprint, dispose: program.dispose },
  );
}

/** Runs a program of fixed batches over any number of images; the last batch is padded. */
function inBatches(
  batchSize: number,
  imageShape: ImageShape,
  prepare: () => Promise<PreparedFunction>,
) {
  let ready: Promise<PreparedFunction> | undefined;
  const pixels = imageShape.reduce((a, b) => a * b, 1);
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
