// What the parts of the int8 benchmark share: the quickstart's model, noisy batches, programs of either precision.
import { loadCheckpoint } from "@dmae/checkpoint";
import { compiledExecutor, type Quantization, type QuantizeOptions, quantize } from "@dmae/compile";
import { foldIn, type HostTensor, type HostTensors, key, normal } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import type { PreparedFunction, TensorSpec, Tensors } from "@dmae/nn";
import { createViT, type ViT } from "@dmae/vit";
import type { Tensor } from "@tensorflow/tfjs-core";

/** Noise of the benchmark; images are in [0, 1]. */
export const sigma = 0.25;
/** Images of one call. */
export const batch = 64;
/** Shape of one call's input. */
export const shape = [batch, 28, 28, 1];

/** The quickstart's classifier. */
export const quickstart = createViT({
  imageSize: 28,
  patchSize: 7,
  channels: 1,
  width: 128,
  depth: 4,
  heads: 4,
  mean: [0.286],
  std: [0.353],
  numClasses: 10,
  globalPool: true,
});

/** The tiny model of benchmarks/compile.ts. */
export const tiny = createViT({
  imageSize: 28,
  patchSize: 4,
  channels: 1,
  width: 192,
  depth: 6,
  heads: 3,
  mean: [0.5],
  std: [0.25],
  numClasses: 10,
});

const specs = { x: { shape } };

/** The function that is compiled. */
export const logitsOf =
  (vit: ViT) =>
  ({ x, ...params }: Tensors) => ({ logits: vit.logits(params, x!) });

/** The parameters of a checkpoint file. */
export async function readParams(path: string): Promise<HostTensors> {
  const checkpoint = await loadCheckpoint(path);
  const params = await checkpoint.readAll();
  await checkpoint.close();
  return params;
}

/** Noisy images of Fashion-MNIST, the same ones for the same name. */
export async function noisyBatches(
  count: number,
  name: "calibration" | "fresh",
): Promise<{ x: HostTensor }[]> {
  const { train, test } = await fashionMnist();
  const source = name === "calibration" ? train : test;
  const batches: { x: HostTensor }[] = [];
  for (let b = 0; b < count; b++) {
    const data = normal(foldIn(key(7), `${name} ${b}`), batch * 784, { standardDeviation: sigma });
    for (let i = 0; i < batch; i++) {
      const { image } = await source.get((97 * (b * batch + i)) % source.length);
      for (let p = 0; p < 784; p++) data[i * 784 + p]! += image[p]!;
    }
    batches.push({ x: { dtype: "float32", shape, data } });
  }
  return batches;
}

/** Scales from 512 noisy training images, unless `options` says otherwise. */
export async function quantization(
  vit: ViT,
  constants: HostTensors,
  options: Partial<QuantizeOptions<{ x: { shape: number[] } }>> = {},
): Promise<Quantization> {
  const calibration = options.calibration ?? (await noisyBatches(8, "calibration"));
  return quantize({ fn: logitsOf(vit), specs, constants }, { ...options, calibration });
}

/** Logits of a batch. */
export type Classify = PreparedFunction<{ x: TensorSpec }, { logits: Tensor }>;

/** The classifier as one graph; int8 with `scales`. */
export function prepare(
  vit: ViT,
  constants: HostTensors,
  scales?: Quantization,
): Promise<Classify> {
  const options = scales ? { precision: "int8" as const, quantization: scales } : {};
  return compiledExecutor(options).prepareFunction({ fn: logitsOf(vit), specs, constants });
}

/** A program as the classifier that `certify` takes. */
export const classifierOf = (program: Classify) => ({
  input: "array" as const,
  fixedBatchSize: batch,
  numClasses: 10,
  predict: async (data: Float32Array) => (await program({ x: data })).logits,
});
