import { compiledExecutor } from "@dmae/compile";
import { foldIn, type HostTensors, key } from "@dmae/core";
import {
  type BatchLoader,
  type BatchOptions,
  batchLoader,
  type EncodedDataset,
} from "@dmae/datasets";
import { createImageWorkers } from "@dmae/datasets/images";
import { createDmae, pretrainRecipes } from "@dmae/pretrain";
import { pretrainInputs, pretrainTask } from "@dmae/pretrain/tasks";
import { noiseKeys, specsOf, taskStep } from "@dmae/train/tasks";

const recipe = pretrainRecipes["dmae-vit-b-imagenet-pretrain"];
const batchSize = 8;
const steps = 5;
const root = key(3);

/** What a training step took, alone and fed by the loader. */
export interface StepRates {
  /** What was run. */
  readonly name: string;
  /** Images per second of the step alone, its batch ready. */
  readonly alone: number;
  /** Images per second with batches that a data thread prepares while the step runs. */
  readonly fed: number;
  /** Share of that time in which the step waited for its batch. */
  readonly waited: number;
}

/** Pre-trains a ViT-B for a few steps, first from one batch that is ready, then from JPEGs. */
export async function measureTrainingStep(
  dataset: EncodedDataset,
  transform: NonNullable<BatchOptions["transform"]>,
): Promise<StepRates> {
  const executor = compiledExecutor();
  const dmae = createDmae(recipe.model, { sigma: recipe.sigma });
  const params = dmae.initHost(root);
  const workers = createImageWorkers(1);
  const loader = batchLoader(dataset, {
    ...{ batchSize, shuffle: true, dropLast: true, transform, workers },
    key: foldIn(root, "data"),
    noiseKeys: noiseKeys(root, 1),
  });
  const small = { ...recipe, batchSize, accumulate: 1 };
  const train = taskStep(pretrainTask(dmae, small, params), { stepsPerEpoch: 100 });
  const inputsAt = async (step: number): Promise<HostTensors> => {
    const { maskRatio } = recipe;
    const options = { key: root, epoch: 0, length: dmae.length, maskRatio };
    return { ...pretrainInputs(await loader.at(step), options), ...train.inputs(step) };
  };
  const ready = await inputsAt(0);
  const prepared = await executor.prepareStep(train.step, {
    state: train.initState(params),
    batch: specsOf(ready),
  });
  try {
    await prepared(ready);
    const alone = await seconds(async () => {
      for (let step = 0; step < steps; step++) await prepared(ready);
    });
    let waiting = 0;
    const fed = await seconds(async () => {
      for (let step = 1; step <= steps; step++) {
        let inputs: HostTensors | undefined;
        waiting += await seconds(async () => {
          inputs = await inputsAt(step % stepsIn(loader));
        });
        await prepared(inputs!);
      }
    });
    const images = steps * batchSize;
    const name = `pre-training step of ViT-B, ${executor.name}, batches of ${batchSize}`;
    return { name, alone: images / alone, fed: images / fed, waited: waiting / fed };
  } finally {
    prepared.dispose();
    await loader.close();
    await workers.close();
  }
}

const stepsIn = (loader: BatchLoader) => loader.stepsPerEpoch;

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
