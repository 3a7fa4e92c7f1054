import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { TrainedClassifier } from "@dmae/finetune";
import { progressLine } from "@dmae/reproduce/progress";
import { certifyDataset, fromOnnx } from "@dmae/smoothing-certify";
import { int8Onnx } from "./int8.ts";
import { runFolder, runs, type Training, trainingSeconds } from "./train-row.ts";

/** Finished certifications: committed, and what `npm run results` reads. */
export const results = fileURLToPath(new URL("../results", import.meta.url));

/** Beside each log: what made it. */
export interface ResultFacts {
  /** Name of the row. */
  readonly row: string;
  readonly seed: number;
  /** Noise of the certification. */
  readonly sigma: number;
  readonly n: number;
  /** Every how many test images. */
  readonly every: number;
  readonly precision: "int8" | "float32";
  /** What the products of the training were computed in. */
  readonly trainingPrecision: Training["precision"];
  /** Seconds of pre-training, training and certification on this machine, as it was: idle or not. */
  readonly seconds: {
    readonly pretraining: number;
    readonly training: number;
    certification: number;
  };
  readonly machine: string;
  /** Day of the certification, ISO. */
  readonly date: string;
}

/** How a row is certified. */
export interface RowCertification {
  readonly name: string;
  readonly sigma: number;
  readonly n: number;
  readonly every: number;
  /** int8 for the ViTs, whose compiled graphs have it; float32 for convolutional nets. */
  readonly precision: "int8" | "float32";
  /** Run folder of the pre-training. */
  readonly pretraining?: string | undefined;
}

/** Name of the files of a result. */
export const resultName = (
  { name, sigma, n, every }: Pick<RowCertification, "name" | "sigma" | "n" | "every">,
  seed: number,
) => `${name}-at-${sigma}-n-${n}-every-${every}-seed-${seed}`;

/** Certifies a trained row and keeps its log and facts in {@link results}; started again, it goes on. */
export async function certifyRow(
  trained: TrainedClassifier,
  certification: RowCertification,
  training: Training,
): Promise<void> {
  const { name, sigma, n, every, precision, pretraining } = certification;
  const { seed, train, test, signal } = training;
  const file = resultName(certification, seed);
  const classifier =
    precision === "int8"
      ? await fromOnnx(await int8Onnx(trained.program({ batchSize: 64 }), { name, train, sigma }))
      : trained.classifier();
  const line = progressLine(`certify ${name} at sigma ${sigma}`, "images");
  const log = join(runs, `${file}.tsv`);
  const started = Date.now();
  const rows = await certifyDataset(classifier, test, {
    ...{ sigma, n, n0: 100, alpha: 0.001, seed, skip: every, log, signal },
    onProgress: ({ done, total, rate }) =>
      line.update(done, total, `${Math.round(rate)} noisy images/s`),
  }).toArray();
  await classifier.dispose();
  line.end(`${rows.length} test images`);
  const facts: ResultFacts = {
    ...{ row: name, seed, sigma, n, every, precision, trainingPrecision: training.precision },
    seconds: {
      pretraining: pretraining ? Math.round(trainingSeconds(runFolder(pretraining, seed))) : 0,
      training: Math.round(trainingSeconds(runFolder(name, seed))),
      certification: Math.round((Date.now() - started) / 1000),
    },
    machine: `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? "an unknown processor"}`,
    date: new Date().toISOString().slice(0, 10),
  };
  await mkdir(results, { recursive: true });
  await writeFile(join(results, `${file}.tsv.gz`), gzipSync(await readFile(log), { level: 9 }));
  await writeFile(join(results, `${file}.json`), `${JSON.stringify(facts, null, 2)}\n`);
}
