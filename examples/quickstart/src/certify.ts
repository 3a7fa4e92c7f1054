import type { HostTensors } from "@dmae/core";
import type { Executor, Params } from "@dmae/nn";
import type { Classifier } from "@dmae/smoothing-certify";
import type { ViT } from "@dmae/vit";

/** Noisy images in one call: small enough to stay in the caches. */
const batchSize = 64;

/** A fine-tuned ViT as a classifier that `certify` takes: logits of fixed batches. */
export async function vitClassifier(vit: ViT, params: HostTensors, executor: Executor) {
  const [height, width, channels] = [
    vit.config.inputSize,
    vit.config.inputSize,
    vit.config.channels,
  ];
  const shape = [batchSize, height, width, channels];
  const prepared = await executor.prepareFunction(
    ({ images, ...weights }) => ({ logits: vit.logits(weights as Params, images!) }),
    { constants: params, inputs: { images: { shape } } },
  );
  const classifier: Classifier = {
    name: "quickstart",
    input: "array",
    fixedBatchSize: batchSize,
    numClasses: vit.config.numClasses,
    predict: async (batch: Float32Array) => {
      const { logits } = await prepared.run({ images: { dtype: "float32", shape, data: batch } });
      return logits;
    },
  };
  return { classifier, dispose: () => prepared.dispose() };
}
