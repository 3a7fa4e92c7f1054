import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { key, normal } from "../../core/src/index.ts";
import { eagerExecutor, softmaxCrossEntropy } from "../../nn/src/index.ts";
import { adamw, createTrainStep } from "../../train/src/index.ts";
import { createViT } from "../../vit/src/index.ts";
import { compiledExecutor } from "../src/index.ts";

await tf.setBackend("cpu");
const vit = createViT({
  width: 16,
  depth: 2,
  heads: 2,
  imageSize: 8,
  inputSize: 8,
  patchSize: 4,
  channels: 1,
  numClasses: 4,
  mean: [0.5],
  std: [0.5],
} as never);
const params = vit.initHost(key(1));
const B = 4;
const x = {
  dtype: "float32" as const,
  shape: [B, 8, 8, 1],
  data: normal(key(2), B * 64) as Float32Array,
};
const y = {
  dtype: "float32" as const,
  shape: [B, 4],
  data: Float32Array.from({ length: B * 4 }, (_, i) => Number(i % 4 === (i >> 2) % 4)),
};
const train = createTrainStep({
  loss: (p, b) => ({ loss: tf.mean(softmaxCrossEntropy(vit.logits(p, b.x!), b.y!)) }),
  optimizer: adamw({}),
  schedule: () => 1e-2,
  stepsPerEpoch: 10,
});
const state = train.initState(params);
const i0 = train.inputs(0);
const specs = Object.fromEntries(
  Object.entries({ x, y, ...i0 }).map(([k, v]) => [k, { shape: v.shape, dtype: v.dtype }]),
);
const runs = [];
for (const ex of [eagerExecutor(), compiledExecutor({ onCompiled: console.log })]) {
  const prep = await ex.prepareStep(train.step, { state, batch: specs });
  const losses = [];
  for (let s = 0; s < 20; s++) losses.push((await prep.run({ x, y, ...train.inputs(s) })).loss!);
  console.log(ex.name, losses.map((l) => l.toPrecision(7)).join(" "));
  runs.push(await prep.state());
  prep.dispose();
}
let worst = 0;
for (const [k, v] of Object.entries(runs[0]!))
  if (k.startsWith("params."))
    v.data.forEach((d, i) => {
      worst = Math.max(worst, Math.abs(Number(d) - Number(runs[1]![k]!.data[i])));
    });
console.log("worst", worst, tf.getBackend());
