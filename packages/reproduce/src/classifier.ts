import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Checkpoint, loadCheckpoint } from "@dmae/checkpoint";
import { DmaeError, type HostTensors } from "@dmae/core";
import type { Params } from "@dmae/nn";
import type { Classifier } from "@dmae/smoothing-certify";
import { createViT, fromPretrained, type ViT } from "@dmae/vit";
import type { ClassifierRecipe } from "./recipe.ts";
import type { Run } from "./run.ts";
import { modelFile } from "./train-stage.ts";

/** The classifier that a run has trained. */
export interface TrainedClassifier {
  /** The model. */
  readonly vit: ViT;
  /** Its parameters. */
  readonly params: HostTensors;
  /** Recipe and first digits of the file's SHA-256: what logs call the model. */
  readonly id: string;
}

/** Reads the parameters that the training stage has left; a checkpoint of another architecture is an error. */
export async function trainedClassifier(
  run: Run,
  recipe: ClassifierRecipe,
): Promise<TrainedClassifier> {
  const file = modelFile(run);
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new DmaeError(
      "file",
      `${recipe.name}: no trained classifier in ${file}; run the stage ${recipe.task} first`,
      { file },
      { cause },
    );
  });
  const vit = createViT(recipe.training.model, recipe.training.config);
  const checkpoint: Checkpoint = await loadCheckpoint(file);
  const { params } = await fromPretrained(vit, checkpoint).finally(() => checkpoint.close());
  const digest = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  return { vit, params, id: `${recipe.name}@${digest}` };
}

/** The classifier as `certify` takes it. */
export async function classifierOf(
  { vit, params, id }: TrainedClassifier,
  run: Run,
  batchSize: number,
) {
  const { inputSize, channels, numClasses } = vit.config;
  const shape = [batchSize, inputSize, inputSize, channels];
  const prepared = await run.executor.prepareFunction({
    fn: ({ images, ...weights }) => ({ logits: vit.logits(weights as Params, images!) }),
    specs: { images: { shape } },
    constants: params,
  });
  const classifier: Classifier = {
    name: id,
    input: "array",
    fixedBatchSize: batchSize,
    numClasses,
    predict: async (batch: Float32Array) => {
      const { logits } = await prepared({ images: { dtype: "float32", shape, data: batch } });
      return logits;
    },
  };
  return { classifier, dispose: () => prepared.dispose() };
}
