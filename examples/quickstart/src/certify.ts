import { compiledExecutor, quantize } from "@dmae/compile";
import type { HostTensors, ImageDataset, Key } from "@dmae/core";
import type { Executor, Params, Tensors } from "@dmae/nn";
import { noisyBatches } from "@dmae/reproduce/calibration";
import type { Classifier } from "@dmae/smoothing-certify";
import type { ViT } from "@dmae/vit";

/** Noisy images in one call: small enough to stay in the caches. */
const batchSize = 64;

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
    const { dataset, ...noise } = settings.calibration;
    const calibration = noisyBatches(dataset, { batchSize, ...noise });
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
