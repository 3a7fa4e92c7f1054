// Fine-tuning of a ViT-S under noise on CIFAR-10, by the paper's recipe for ViT-B, for as long as the stage has time.
import { readFileSync } from "node:fs";
import { foldIn, key } from "@dmae/core";
import { loadCifar10, synthetic, take } from "@dmae/datasets";
import { evaluate, finetuneRecipes, robustFinetune } from "@dmae/finetune";

const toyModel = { imageSize: 32, patchSize: 8, channels: 3, width: 48, depth: 2, heads: 3 };

export async function cifar({ executor, folder, toy, epochs, images, signal, row }) {
  const where = `${folder}/cifar`;
  await row("ViT-S on CIFAR-10", async () => {
    if (!toy && !images)
      throw new Error("no images: --cifar DIR names the folder of data_batch_1.bin …");
    const { train, test } = toy ? toyImages() : await loadCifar10(images);
    const paper = finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"];
    const size = toy ? toyModel : { width: 384, heads: 6 };
    const recipe = {
      ...paper,
      name: "prove-cifar",
      model: { ...paper.model, ...size, inputSize: 32, numClasses: 10 },
      ...(toy && { epochs, warmupEpochs: 0.1, batchSize: 16, accumulate: 1 }),
    };
    const settings = { executor, seed: foldIn(key(0), "cifar"), folder: where, signal };
    try {
      const { model, params } = await robustFinetune(recipe, train, settings);
      const measured = take(test, toy ? 16 : 1000);
      const { accuracy } = await evaluate(model, params, measured, {
        ...{ executor, sigma: 0.25, seed: 2 },
      });
      return { accuracyUnderNoise: accuracy, ...progress(where, recipe) };
    } finally {
      // a row of its own: the next run goes on from the checkpoint that the abort left
      if (signal.aborted) {
        const reached = progress(where, recipe);
        await row(`ViT-S on CIFAR-10, to step ${reached.step}`, () => reached);
      }
    }
  });
}

function toyImages() {
  const shape = { key: key(1), imageShape: [32, 32, 3], numClasses: 10 };
  return {
    train: synthetic({ ...shape, length: 96 }),
    test: synthetic({ ...shape, length: 16, split: "test" }),
  };
}

/** How far the log of a run goes, and how fast its last steps of one process were. */
function progress(folder, { batchSize }) {
  const lines = readFileSync(`${folder}/log.jsonl`, "utf8").trim().split("\n");
  const steps = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "step");
  const { step, epoch, loss, seconds } = steps.at(-1);
  let first = steps.length - 1;
  while (first > 0 && steps.length - first < 50 && steps[first - 1].seconds < steps[first].seconds)
    first--;
  const rate = (batchSize * (steps.length - 1 - first)) / (seconds - steps[first].seconds);
  return { step, epoch: Number(epoch.toFixed(3)), loss, imagesPerSecond: Number(rate.toFixed(1)) };
}
