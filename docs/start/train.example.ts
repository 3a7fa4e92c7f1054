import { writeFile } from "node:fs/promises";
import { exportOnnx } from "@dmae/compile";
import { loadImageFolder, splitDataset } from "@dmae/datasets";
import { finetuneRecipe, robustFinetune } from "@dmae/finetune";
import { pretrain, pretrainRecipe } from "@dmae/pretrain";
import { certify } from "@dmae/smoothing-certify";
import { tiny } from "@dmae/vit";

// photos/cat/1.jpg, photos/dog/1.jpg, … : a folder for each class
const images = await loadImageFolder("photos", { size: 32 });
const { train, test } = splitDataset(images, { test: 0.2, seed: 0 });

const model = tiny(images);
const { encoder } = await pretrain(pretrainRecipe({ model, epochs: 50 }), train, {
  onProgress: ({ step, steps, secondsLeft: s }) =>
    console.log(step, "of", steps, Math.ceil(s), "s left"),
});
const tuned = await robustFinetune(finetuneRecipe({ model, sigma: 0.25, epochs: 20 }), train, {
  pretrained: encoder,
  onProgress: ({ step, steps, secondsLeft: s }) =>
    console.log(step, "of", steps, Math.ceil(s), "s left"),
});

const { image, label } = await test.get(0);
const { prediction, radius } = await certify(tuned.classifier(), image, {
  sigma: 0.25,
  n: 1000,
  shape: images.imageShape,
});
console.log(prediction === label, radius);
await writeFile("model.onnx", exportOnnx(tuned.program(), { dynamicBatch: true }));
