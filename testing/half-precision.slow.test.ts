import "@tensorflow/tfjs-backend-cpu";
import { compileStep } from "@dmae/compile";
import { foldIn, key } from "@dmae/core";
import { batchLoader, fashionMnist } from "@dmae/datasets";
import { selectBackend, softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { specsOf } from "@dmae/train/tasks";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";

const steps = 200;
const vit = createViT(
  { width: 48, depth: 2, heads: 3 },
  { imageSize: 28, patchSize: 7, channels: 1, mean: [0.286], std: [0.353], numClasses: 10 },
);

/** Cross entropy over the last 50 of 200 steps, and how many were skipped. */
async function train(seed: number, precision: "float32" | "bfloat16" | "float16") {
  const root = key(seed);
  const { train: images } = await fashionMnist();
  const loader = batchLoader(images, {
    ...{ batchSize: 64, shuffle: true, dropLast: true },
    key: foldIn(root, "data"),
  });
  const recipe = createTrainStep({
    loss: (params, { images: x, targets: y }) => ({
      loss: tf.mean(softmaxCrossEntropy(vit.logits(params, x!), y!)),
    }),
    optimizer: adamw(),
    schedule: () => 1e-3,
    stepsPerEpoch: loader.stepsPerEpoch,
  });
  const inputs = async (step: number) => {
    const { images, labels, size, imageShape } = await loader.at(step);
    const targets = new Float32Array(size * 10);
    labels.forEach((label, row) => {
      targets[row * 10 + label] = 1;
    });
    return {
      images: { dtype: "float32" as const, shape: [size, ...imageShape], data: images },
      targets: { dtype: "float32" as const, shape: [size, 10], data: targets },
      ...recipe.inputs(step),
    };
  };
  const batch = specsOf(await inputs(0));
  const state = recipe.initState(vit.initHost(foldIn(root, "init")));
  const run = await compileStep(recipe.step, { state, batch }, { precision });
  let [loss, skipped] = [0, 0];
  for (let step = 0; step < steps; step++) {
    const metrics = (await run(await inputs(step))) as Record<string, number>;
    if (step >= steps - 50) loss += metrics.loss! / 50;
    skipped += metrics.skipped ?? 0;
  }
  run.dispose();
  await loader.close?.();
  return { loss, skipped };
}

it("trains in 16 bits to the loss of float32, closer than three seeds of it lie together", async () => {
  await selectBackend("cpu");
  const plain: number[] = [];
  for (const seed of [0, 1, 2]) plain.push((await train(seed, "float32")).loss);
  const spread = Math.max(...plain) - Math.min(...plain);
  expect(plain[0]).toBeLessThan(1); // from ln 10: it learns
  for (const precision of ["bfloat16", "float16"] as const) {
    const { loss, skipped } = await train(0, precision);
    expect(Math.abs(loss - plain[0]!)).toBeLessThan(spread);
    expect(skipped).toBeLessThan(10);
  }
}, 900_000);
