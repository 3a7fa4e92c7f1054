import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { loadCheckpoint } from "@dmae/checkpoint";
import { loadConvNet } from "@dmae/convnet";
import { DmaeError, type HostTensors } from "@dmae/core";
import type { Model } from "@dmae/nn";
import { type Classifier, ensemble } from "@dmae/smoothing-certify";
import { fromPretrained } from "@dmae/vit";
import { modelOf } from "./model.ts";
import { modelFiles } from "./model-files.ts";
import { type ClassifierRecipe, ensembleOf } from "./recipe.ts";
import type { Run } from "./run.ts";

/** The classifier that a run has trained. */
export interface TrainedClassifier {
  /** The model. */
  readonly model: Model;
  /** Its parameters; of an ensemble those of each member. */
  readonly members: readonly HostTensors[];
  /** Recipe and first digits of the SHA-256 of the file (or files): what logs call the model. */
  readonly id: string;
}

/** Reads the parameters that the training stage has left; a checkpoint of another architecture is an error. */
export async function trainedClassifier(
  run: Pick<Run, "folder" | "recipe">,
  recipe: ClassifierRecipe,
): Promise<TrainedClassifier> {
  const model = modelOf(recipe.training);
  const digest = createHash("sha256");
  const members: HostTensors[] = [];
  for (const file of modelFiles(run)) {
    const bytes = await readFile(file).catch((cause: Error) => {
      throw new DmaeError(
        "file",
        `${recipe.name}: no trained classifier in ${file}; run the stage ${recipe.task} first`,
        { file },
        { cause },
      );
    });
    digest.update(bytes);
    members.push(await readParameters(model, file));
  }
  return { model, members, id: `${recipe.name}@${digest.digest("hex").slice(0, 12)}` };
}

async function readParameters(
  model: ReturnType<typeof modelOf>,
  file: string,
): Promise<HostTensors> {
  const checkpoint = await loadCheckpoint(file);
  try {
    if ("features" in model) return (await fromPretrained(model, checkpoint)).params;
    return await loadConvNet(model, checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** The classifier as `certify` takes it; of an ensemble the sum of the logits. */
export async function classifierOf(
  { model, members: parameters, id }: TrainedClassifier,
  run: Run,
  batchSize: number,
) {
  const prepared: Awaited<ReturnType<typeof preparedMember>>[] = [];
  for (const params of parameters)
    prepared.push(await preparedMember(model, params, run, batchSize));
  const { numClasses } = model;
  const members = prepared.map(({ predict }, i) => ({
    ...({ input: "array", fixedBatchSize: batchSize, numClasses, predict } as const),
    fingerprint: `${id}/${i}`,
  }));
  const { consensus = members.length } = ensembleOf(run.recipe) ?? {};
  const whole = members.length === 1 ? members[0]! : ensemble(members, "logits", { consensus });
  const classifier: Classifier = { ...whole, name: id, numClasses };
  return {
    classifier,
    dispose: () => {
      for (const { dispose } of prepared) dispose();
    },
  };
}

async function preparedMember(model: Model, params: HostTensors, run: Run, batchSize: number) {
  const shape = [batchSize, ...model.imageShape];
  const prepared = await run.executor.prepareFunction({
    fn: ({ images, ...weights }) => ({ logits: model.apply(weights, images!).logits }),
    specs: { images: { shape } },
    constants: params,
  });
  return {
    predict: async (batch: Float32Array) =>
      (await prepared({ images: { dtype: "float32", shape, data: batch } })).logits,
    dispose: () => prepared.dispose(),
  };
}
