// Puts a trained row into @dmae/models: the int8 .onnx, float16 parameters, and a card whose numbers come from certifying those bytes.
// `npm run ship -- --name NAME --classifier FILE --autoencoder FILE --cost TEXT [--every 10] [--n 10000]`; started again, it goes on.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { loadCheckpoint, saveSafetensors, toFloat16 } from "@dmae/checkpoint";
import { fashionMnist } from "@dmae/datasets";
import type { FinetuneRecipe } from "@dmae/finetune";
import { selectBackend, type Tensors } from "@dmae/nn";
import { progressLine } from "@dmae/reproduce/progress";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  certifyDataset,
  fromOnnx,
  readLog,
} from "@dmae/smoothing-certify";
import { createViT, type ViTOptions } from "@dmae/vit";
import { int8Onnx } from "./int8.ts";

const { values } = parseArgs({
  options: {
    name: { type: "string" },
    classifier: { type: "string" },
    autoencoder: { type: "string" },
    cost: { type: "string" },
    every: { type: "string", default: "10" },
    n: { type: "string", default: "10000" },
  },
});
const { name = "", classifier = "", autoencoder = "", cost = "" } = values;
const folder = fileURLToPath(new URL(`../../../packages/models/files/${name}`, import.meta.url));
const runs = fileURLToPath(new URL("../runs", import.meta.url));

await selectBackend("cpu");
const { train, test } = await fashionMnist();
const trained = await open(classifier);
const { recipe, params } = trained as { recipe: FinetuneRecipe; params: typeof trained.params };
const pretraining = await open(autoencoder);
const sigma = recipe.sigma as number;
await mkdir(folder, { recursive: true });
await mkdir(runs, { recursive: true });
await writeFile(`${folder}/classifier.onnx`, await int8Classifier());
await saveSafetensors(`${folder}/classifier.safetensors`, toFloat16(params));
await saveSafetensors(`${folder}/autoencoder.safetensors`, toFloat16(pretraining.params));
await writeFile(`${folder}/card.json`, `${JSON.stringify(await card(), null, 2)}\n`);

/** A safetensors file of a run, with its recipe. */
async function open(path: string) {
  const checkpoint = await loadCheckpoint(path);
  try {
    return { recipe: JSON.parse(checkpoint.metadata.recipe!), params: await checkpoint.readAll() };
  } finally {
    await checkpoint.close();
  }
}

/** The classifier as int8 ONNX. */
async function int8Classifier(): Promise<Uint8Array> {
  const vit = createViT(recipe.model as ViTOptions);
  const program = {
    fn: ({ images, ...weights }: Tensors) => ({ logits: vit.logits(weights, images!) }),
    specs: { images: [64, ...train.imageShape] },
    constants: params,
  };
  return int8Onnx(program, { name, train, sigma });
}

/** Certifies the shipped bytes and computes the card's numbers from the log. */
async function certified() {
  const n = Number(values.n);
  const model = await fromOnnx(`${folder}/classifier.onnx`, { session: { intraOpNumThreads: 1 } });
  const log = `${runs}/${name}-n-${n}-every-${values.every}.tsv`;
  const line = progressLine("certify", "images");
  const settings = { sigma, n0: 100, n, alpha: 0.001, seed: 0, skip: Number(values.every) };
  const onProgress = ({ done, total }: { done: number; total: number }) =>
    line.update(done, total, "");
  for await (const _ of certifyDataset(model, test, { ...settings, log, onProgress }));
  await model.dispose();
  const rows = await readLog(log);
  await writeFile(`${folder}/certified.tsv.gz`, gzipSync(await readFile(log), { level: 9 }));
  const radii = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3];
  const accuracy = certifiedAccuracy(rows, radii)
    .map((share, i) => [String(radii[i]), Math.round(1e4 * share) / 100] as const)
    .filter(([, percent]) => percent > 0);
  return {
    log: "certified.tsv.gz",
    images: rows.length,
    n,
    alpha: 0.001,
    averageCertifiedRadius: Math.floor(1e4 * averageCertifiedRadius(rows)) / 1e4,
    accuracy: Object.fromEntries(accuracy),
  };
}

async function card() {
  return {
    name,
    description: `A DMAE-pre-trained Vision Transformer, fine-tuned with consistency regularisation under Gaussian noise of sigma ${sigma}.`,
    sigma,
    imageShape: test.imageShape,
    classNames: test.classNames,
    data: `Fashion-MNIST (Xiao et al. 2017, MIT): 60,000 training images; every ${values.every}th of 10,000 test images certified`,
    license: "Apache-2.0",
    training: { pretraining: pretraining.recipe, finetuning: recipe, cost },
    certified: await certified(),
    classifier: await facts("classifier.onnx"),
    parameters: await facts("classifier.safetensors"),
    autoencoder: await facts("autoencoder.safetensors"),
  };
}

async function facts(file: string) {
  const bytes = await readFile(`${folder}/${file}`);
  return {
    name: file,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
