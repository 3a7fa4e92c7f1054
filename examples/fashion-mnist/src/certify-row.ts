import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { DmaeError } from "@dmae/core";
import type { TrainedClassifier } from "@dmae/finetune";
import { progressLine } from "@dmae/reproduce/progress";
import { certifyDataset, ensemble, fromOnnx } from "@dmae/smoothing-certify";
import { int8Onnx } from "./int8.ts";
import { keepResult, removeKeptLog, resultFiles } from "./keep-result.ts";
import type { MethodRow } from "./method-rows.ts";
import type { Row } from "./recipes.ts";
import type { ResultFacts } from "./result-facts.ts";
import { secondsInLog } from "./seconds-in-log.ts";
import { runFolder, runs, type Training, trainingSeconds } from "./train-row.ts";

/** Finished certifications: committed, and what `npm run results` reads. */
export const results = fileURLToPath(new URL("../results", import.meta.url));

/** How a row is certified. */
export interface RowCertification {
  readonly name: string;
  /** See {@link recipeOf}. */
  readonly recipe: string;
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
export const resultName = (
  { name, members, sigma, n, every }: Omit<RowCertification, "recipe" | "precision">,
  seed: number,
) => `${name}${members > 1 ? `-x${members}` : ""}-at-${sigma}-n-${n}-every-${every}-seed-${seed}`;

/** First digits of the SHA-256 of a row's recipes. */
export const recipeOf = (row: Row | MethodRow): string => {
  const parts = "recipe" in row ? [row.recipe] : [row.pretraining, row.finetuning, row.probing];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
};

/**
 * Whether the result is in {@link results}; says so, with its date and file.
 *
 * @throws DmaeError "resume" for a result of another recipe
 */
export function isCertified(certification: RowCertification, seed: number): boolean {
  const { facts: file } = resultFiles(results, resultName(certification, seed));
  if (!existsSync(file)) return false;
  const { recipe, date } = JSON.parse(readFileSync(file, "utf8")) as ResultFacts;
  if (recipe !== certification.recipe)
    throw new DmaeError(
      "resume",
      `${certification.name}: ${file} is of another recipe (${recipe}, and the row's is ${certification.recipe}); --again replaces it`,
    );
  console.log(
    `${certification.name}: certified on ${date}, ${relative(process.cwd(), file)}; --again certifies it anew`,
  );
  return true;
}

/**
 * Certifies a trained row and keeps its log and facts in {@link results}; started again, it goes on, or begins anew where
 * these are there already. Of several members, the third and later ones are asked about the copies on which the first
 * two disagree.
 *
 * @param trained the members, of successive seeds
 */
export async function certifyRow(
  trained: readonly TrainedClassifier[],
  certification: RowCertification,
  training: Training,
): Promise<void> {
  const { name, recipe, sigma, n, every, precision, pretraining } = certification;
  const { seed, train, test, signal } = training;
  const members = await Promise.all(
    trained.map(async (member) =>
      precision === "int8"
        ? fromOnnx(await int8Onnx(member.program({ batchSize: 64 }), { name, train, sigma }))
        : member.classifier(),
    ),
  );
  const consensus = 2;
  const classifier = members.length > 1 ? ensemble(members, "logits", { consensus }) : members[0]!;
  const spent = (folder: string) =>
    Math.round(
      trained.reduce((sum, _, i) => sum + trainingSeconds(runFolder(folder, seed + i)), 0),
    );
  const line = progressLine(`certify ${name} at sigma ${sigma}`, "images");
  const result = resultName(certification, seed);
  const [log, kept] = [join(runs, `${result}.tsv`), resultFiles(results, result)];
  await removeKeptLog(log, kept); // with --again
  const earlier = await secondsInLog(log);
  const started = Date.now();
  const rows = await certifyDataset(classifier, test, {
    ...{ sigma, n, n0: 100, alpha: 0.001, seed, skip: every, log, signal },
    onProgress: ({ done, total, rate }) =>
      line.update(done, total, `${Math.round(rate)} noisy images/s`),
  }).toArray();
  for (const member of members) await member.dispose();
  line.end(`${rows.length} test images`);
  const cores = availableParallelism();
  const facts: ResultFacts = {
    ...{ row: name, seed, recipe, members: members.length },
    ...(members.length > 1 && { consensus }),
    ...{ sigma, n, every },
    ...{ precision, trainingPrecision: training.precision },
    seconds: {
      pretraining: pretraining ? spent(pretraining) : 0,
      training: spent(name),
      certification: Math.round(earlier + (Date.now() - started) / 1000),
    },
    machine: `${cores} ${cores === 1 ? "core" : "cores"} of ${cpus()[0]?.model.trim() ?? "an unknown processor"}`,
    date: new Date().toISOString().slice(0, 10),
  };
  await keepResult(kept, { log, facts });
}
