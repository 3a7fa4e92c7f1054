// Puts a trained and certified row into @dmae/models: the int8 .onnx, float16 parameters, its log, and a card with the log's numbers.
// `npm run ship -- --row NAME [--n 10000] [--every 10]`, after `npm start -- --row NAME --certify`.

import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { loadCheckpoint, saveSafetensors, toFloat16 } from "@dmae/checkpoint";
import { DmaeError, type HostTensors, type ImageDataset } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import type { FinetuneRecipe } from "@dmae/finetune";
import { selectBackend, type Tensors } from "@dmae/nn";
import type { PretrainRecipe } from "@dmae/pretrain";
import { commandLine, runAsProgram, wholeNumber } from "@dmae/reproduce/program";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  certifyDataset,
  fromOnnx,
  readLog,
} from "@dmae/smoothing-certify";
import { createViT, type ViTOptions } from "@dmae/vit";
import { resultName, results } from "./certify-row.ts";
import { int8Onnx } from "./int8.ts";
import { rows } from "./recipes.ts";
import { cost, type ResultFacts, shippedName } from "./result-facts.ts";
import { runFolder } from "./train-row.ts";

const files = fileURLToPath(new URL("../../../packages/models/files", import.meta.url));

/** What is shipped. */
interface Shipment {
  /** Name in `@dmae/models`. */
  readonly name: string;
  readonly row: string;
  readonly seed: number;
  readonly sigma: number;
  readonly n: number;
  readonly every: number;
  /** What made the row's result. */
  readonly facts: ResultFacts;
  readonly train: ImageDataset;
  readonly test: ImageDataset;
  readonly classifier: Stored<FinetuneRecipe>;
  readonly autoencoder: Stored<PretrainRecipe>;
}

/** Trained parameters, and the recipe that made them. */
interface Stored<R> {
  readonly recipe: R;
  readonly params: HostTensors;
}

await runAsProgram(async () => {
  const values = commandLine({
    row: { type: "string" },
    n: { type: "string", default: "10000" },
    every: { type: "string", default: "10" },
  });
  const n = wholeNumber("n", values.n);
  const every = wholeNumber("every", values.every);
  const row = rows.find(({ name }) => name === values.row);
  if (!row?.pretraining?.name)
    throw new DmaeError(
      "argument",
      `--row: must be one of ${rows.map(({ name }) => name).join(", ")}, got ${values.row}`,
    );
  const seed = 0;
  const [sigma] = row.sigmas as [number];
  const result = resultName({ name: row.name, members: 1, sigma, n, every }, seed);
  const facts = JSON.parse(
    await readFile(join(results, `${result}.json`), "utf8").catch(() => {
      throw new DmaeError(
        "file",
        `ship: there is no ${result}.json in results; run npm start -- --row ${row.name} --certify first`,
      );
    }),
  ) as ResultFacts;
  await selectBackend("cpu");
  const model = (run: string) => join(runFolder(run, seed), "model.safetensors");
  const shipment: Shipment = {
    ...{ name: shippedName(row.name), row: row.name, seed, sigma, n, every, facts },
    ...(await fashionMnist()),
    classifier: await open<FinetuneRecipe>(model(row.name)),
    autoencoder: await open<PretrainRecipe>(model(row.pretraining.name)),
  };
  const folder = join(files, shipment.name);
  const autoencoder = join(files, `fashion-mnist-${row.pretraining.name}`);
  await mkdir(folder, { recursive: true });
  await mkdir(autoencoder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const shared = join(autoencoder, "autoencoder.safetensors");
  await writeFile(file("classifier.onnx"), await int8Classifier(shipment));
  await saveSafetensors(file("classifier.safetensors"), toFloat16(shipment.classifier.params));
  await saveSafetensors(shared, toFloat16(shipment.autoencoder.params));
  await copyFile(join(results, `${result}.tsv.gz`), file("certified.tsv.gz"));
  await checkLog(shipment, folder);
  const card = await cardOf(shipment, folder, shared);
  await writeFile(file("card.json"), `${JSON.stringify(card, null, 2)}\n`);
  console.log(`${folder}: add it to packages/models/src/catalogue.ts`);
});

/** A safetensors file of a run. */
async function open<R>(path: string): Promise<Stored<R>> {
  const checkpoint = await loadCheckpoint(path);
  try {
    return { recipe: JSON.parse(checkpoint.metadata.recipe!), params: await checkpoint.readAll() };
  } finally {
    await checkpoint.close();
  }
}

/** The classifier as the int8 ONNX that was certified: the name of the row is in its bytes. */
async function int8Classifier({ row, sigma, train, classifier }: Shipment): Promise<Uint8Array> {
  const vit = createViT(classifier.recipe.model as ViTOptions);
  const program = {
    fn: ({ images, ...weights }: Tensors) => ({ logits: vit.logits(weights, images!) }),
    specs: { images: [64, ...train.imageShape] },
    constants: classifier.params,
  };
  return int8Onnx(program, { name: row, train, sigma });
}

/** Certifies ten images of the log again with the shipped bytes: its votes and its fingerprint must be theirs. */
async function checkLog(shipment: Shipment, folder: string): Promise<void> {
  const { row, test, sigma, n, seed, every } = shipment;
  const logged = await readLog(join(folder, "certified.tsv.gz"));
  const model = await fromOnnx(join(folder, "classifier.onnx"));
  const settings = { sigma, n0: 100, n, alpha: 0.001, seed, skip: every, max: 10 };
  let i = 0;
  for await (const again of certifyDataset(model, test, settings)) {
    const before = logged[i++]!;
    if (again.settings?.classifier !== before.settings?.classifier)
      throw new DmaeError(
        "file",
        `ship: the log of ${row} is of the classifier ${before.settings?.classifier}, and the shipped bytes are ${again.settings?.classifier}`,
      );
    if (again.idx !== before.idx || again.radius !== before.radius)
      throw new DmaeError(
        "file",
        `ship: image ${before.idx} has radius ${before.radius} in the log of ${row}, and ${again.radius} (image ${again.idx}) with the shipped bytes`,
      );
  }
  await model.dispose();
}

/** The model card, with the numbers of the log. */
async function cardOf(shipment: Shipment, folder: string, autoencoderFile: string) {
  const { name, sigma, seed, n, every, test, facts, classifier, autoencoder } = shipment;
  const logged = await readLog(join(folder, "certified.tsv.gz"));
  const radii = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3];
  const accuracy = certifiedAccuracy(logged, radii)
    .map((share, i) => [String(radii[i]), Math.round(1e4 * share) / 100] as const)
    .filter(([, percent]) => percent > 0);
  const { method } = classifier.recipe;
  const attacked = "attack" in method && method.attack ? "SmoothAdv and " : "";
  const fileFacts = async (path: string) => {
    const bytes = await readFile(path);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { name: relative(folder, path), bytes: bytes.length, sha256 };
  };
  return {
    name,
    description: `A DMAE-pre-trained Vision Transformer, fine-tuned with ${attacked}consistency regularisation under Gaussian noise of sigma ${sigma}.`,
    sigma,
    imageShape: test.imageShape,
    classNames: test.classNames,
    data: `Fashion-MNIST (Xiao et al. 2017, MIT): 60,000 training images; every ${every}th of 10,000 test images certified`,
    license: "Apache-2.0",
    training: {
      pretraining: autoencoder.recipe,
      finetuning: classifier.recipe,
      cost: `seed ${seed}; ${cost(facts)}`,
    },
    certified: {
      log: "certified.tsv.gz",
      images: logged.length,
      n,
      alpha: 0.001,
      averageCertifiedRadius: Math.floor(1e4 * averageCertifiedRadius(logged)) / 1e4,
      accuracy: Object.fromEntries(accuracy),
    },
    classifier: await fileFacts(join(folder, "classifier.onnx")),
    parameters: await fileFacts(join(folder, "classifier.safetensors")),
    autoencoder: await fileFacts(autoencoderFile),
  };
}
