import { compiledExecutor, quantize } from "@dmae/compile";
import { foldIn, type HostTensors, type ImageDataset, type Key, normal } from "@dmae/core";
import type { Executor, Params, Tensors } from "@dmae/nn";
import type { Classifier } from "@dmae/smoothing-certify";
import type { ViT } from "@dmae/vit";

/** Noisy images in one call: small enough to stay in the caches. */
const batchSize = 64;

/** Batches of noisy training images that int8 scales are found on. */
const calibrationBatches = 8;

/** What {@link vitClassifier} needs besides the model. */
export interface ClassifierSettings {
  executor: Executor;
  precision: "float32" | "int8";
  /** Images and noise to calibrate int8 with: those that the classifier was trained on. */
  calibration: { dataset: ImageDataset; sigma: number; key: Key };
}

/** A fine-tuned ViT as a classifier that `certify` takes: logits of fixed batches. */
export async function vitClassifier(vit: ViT, params: HostTensors, settings: ClassifierSettings) {
  const { inputSize, channels, numClasses } = vit.config;
  const shape = [batchSize, inputSize, inputSize, channels];
  const specs = { images: { shape } };
  const logits = ({ images, ...weights }: Tensors) => ({
    logits: vit.logits(weights as Params, images!),
  });
  let { executor } = settings;
  if (settings.precision === "int8") {
    const calibration = noisyBatches(shape, settings.calibration);
    const quantization = await quantize({ fn: logits, specs, constants: params }, { calibration });
    executor = compiledExecutor({ precision: "int8", quantization });
  }
  const prepared = await executor.prepareFunction({ fn: logits, specs, constants: params });
  return {
    name: `quickstart ${settings.precision}`,
    input: "array",
    fixedBatchSize: batchSize,
    numClasses,
    predict: async (batch: Float32Array) =>
      (await prepared({ images: { dtype: "float32", shape, data: batch } })).logits,
    dispose: () => prepared.dispose(),
  } satisfies Classifier & { dispose: () => void };
}

async function* noisyBatches(
  shape: readonly number[],
  { dataset, sigma, key }: ClassifierSettings["calibration"],
) {
  const size = dataset.imageShape.reduce((product, side) => product * side, 1);
  const noise = foldIn(key, "calibration");
  for (let batch = 0; batch < calibrationBatches; batch++) {
    const data = new Float32Array(batchSize * size);
    for (let row = 0; row < batchSize; row++) {
      const index = batch * batchSize + row;
      const { image: mean } = await dataset.get(index);
      const out = data.subarray(row * size, (row + 1) * size);
      normal(noise, out, { index, mean, standardDeviation: sigma });
    }
    yield { images: { dtype: "float32" as const, shape, data } };
  }
}
