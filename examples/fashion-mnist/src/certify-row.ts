import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { TrainedClassifier } from "@dmae/finetune";
import { progressLine } from "@dmae/reproduce/progress";
import { certifyDataset, ensemble, fromOnnx } from "@dmae/smoothing-certify";
import { int8Onnx } from "./int8.ts";
import { runFolder, runs, type Training, trainingSeconds } from "./train-row.ts";

/** Finished certifications: committed, and what `npm run results` reads. */
export const results = fileURLToPath(new URL("../results", import.meta.url));

/** Beside each log: what made it. */
export interface ResultFacts {
  /** Name of the row. */
  readonly row: string;
  /** The first seed. */
  readonly seed: number;
  /** Classifiers whose logits are added, each of its own seed. */
  readonly members: number;
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
  readonly members: number;
  readonly sigma: number;
  readonly n: number;
  readonly every: number;
  /** int8 for the ViTs, whose compiled graphs have it; float32 for convolutional nets. */
  readonly precision: "int8" | "float32";
  /** Run folder of the pre-training. */
  readonly pretraining?: string | undefined;
}

/** Name of the files of a result. */
export const resultName = ({ name, members, sigma, n, every }: RowCertification, seed: number) =>
  `${name}${members > 1 ? `-x${members}` : ""}-at-${sigma}-n-${n}-every-${every}-seed-${seed}`;

/**
 * Certifies a trained row and keeps its log and facts in {@link results}; started again, it goes on. Of several members, the third and
 * later ones are asked about the copies on which the first two disagree.
 *
 * @param trained the members, of successive seeds
 */
export async function certifyRow(
  trained: readonly TrainedClassifier[],
  certification: RowCertification,
  training: Training,
): Promise<void> {
  const { name, sigma, n, every, precision, pretraining } = certification;
  const { seed, train, test, signal } = training;
  const file = resultName(certification, seed);
  const members = await Promise.all(
    trained.map(async (member) =>
      precision === "int8"
        ? fromOnnx(await int8Onnx(member.program({ batchSize: 64 }), { name, train, sigma }))
        : member.classifier(),
    ),
  );
  const classifier =
    members.length > 1 ? ensemble(members, "logits", { consensus: 2 }) : members[0]!;
  const spent = (folder: string) =>
    Math.round(
      trained.reduce((sum, _, i) => sum + trainingSeconds(runFolder(folder, seed + i)), 0),
    );
  const line = progressLine(`certify ${name} at sigma ${sigma}`, "images");
  const log = join(runs, `${file}.tsv`);
  const started = Date.now();
  const rows = await certifyDataset(classifier, test, {
    ...{ sigma, n, n0: 100, alpha: 0.001, seed, skip: every, log, signal },
    onProgress: ({ done, total, rate }) =>
      line.update(done, total, `${Math.round(rate)} noisy images/s`),
  }).toArray();
  for (const member of members) await member.dispose();
  line.end(`${rows.length} test images`);
  const facts: ResultFacts = {
    ...{ row: name, seed, members: members.length, sigma, n, every },
    ...{ precision, trainingPrecision: training.precision },
    seconds: {
      pretraining: pretraining ? spent(pretraining) : 0,
      training: spent(name),
      certification: Math.round((Date.now() - started) / 1000),
    },
    machine: `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? "an unknown processor"}`,
    date: new Date().toISOString().slice(0, 10),
  };
  await mkdir(results, { recursive: true });
  await writeFile(join(results, `${file}.tsv.gz`), gzipSync(await readFile(log), { level: 9 }));
  await writeFile(join(results, `${file}.json`), `${JSON.stringify(facts, null, 2)}\n`);
}
