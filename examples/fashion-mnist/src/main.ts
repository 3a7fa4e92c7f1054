// Certified robustness on Fashion-MNIST, one named row at a time: trains it, certifies it, and keeps its log in results/.
// Interrupted and started again with the same words, it goes on where it was. README.md has the rows and what they cost.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DmaeError } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import type { TrainedClassifier } from "@dmae/finetune";
import { selectBackend } from "@dmae/nn";
import { precisionOf, runAsProgram } from "@dmae/reproduce/program";
import { certifyRow, resultName, results } from "./certify-row.ts";
import { compareCurves, ownCurve, publishedCurve } from "./curve.ts";
import { type MethodRow, methodRows } from "./method-rows.ts";
import { questionRows } from "./questions.ts";
import { type Row, rows } from "./recipes.ts";
import { runFolder, type Training, trainMethod, trainRow } from "./train-row.ts";

const help = `npm start -- --row NAME[,NAME…] [options]

  --row NAMES      rows by name, or "questions" for all rows of the paper's questions
  --seed 0         every random draw follows from it
  --seeds 3        runs each row with the seeds 0, 1, 2
  --ensemble K     one classifier of K members that differ in the seed, whose logits are added; default 1
  --certify        certifies the trained row and keeps the log in results/
  --every 10       every how many test images are certified; 20 for the paper's questions
  --n 10000        noisy copies of an image
  --precision P    float32 (default), or bfloat16 or float16 for the products of the training: bfloat16 is
                   faster on a processor with AVX512-BF16
  --epochs N       published methods only: trains for N more epochs and stops
  --compare        published methods only: prints the training curve beside the published one, without
                   training unless --epochs is given
  --list           the names of the rows`;

const { values } = parseArgs({
  options: {
    row: { type: "string" },
    seed: { type: "string", default: "0" },
    seeds: { type: "string" },
    ensemble: { type: "string", default: "1" },
    certify: { type: "boolean", default: false },
    every: { type: "string" },
    n: { type: "string", default: "10000" },
    precision: { type: "string", default: "float32" },
    epochs: { type: "string" },
    compare: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const all: readonly (Row | MethodRow)[] = [...rows, ...questionRows, ...methodRows];

/** The rows that `--row` names. */
function chosenRows(): readonly (Row | MethodRow)[] {
  if (values.row === "questions") return questionRows;
  return (values.row ?? "").split(",").map((name) => {
    const row = all.find((candidate) => candidate.name === name);
    if (row) return row;
    const names = all.map((candidate) => candidate.name).join(", ");
    throw new DmaeError("argument", `--row: must be one of ${names}, got ${name || "none"}`);
  });
}

/** A whole number of at least `least`. */
function whole(
  name: "seed" | "seeds" | "ensemble" | "every" | "n" | "epochs",
  fallback: number,
  least = 1,
) {
  const value = Number(values[name] ?? fallback);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new DmaeError(
    "argument",
    `--${name}: must be a whole number of at least ${least}, got ${values[name]}`,
  );
}

/** Trains a row where it is not trained yet, and certifies it where it is not certified yet. */
async function runRow(row: Row | MethodRow, training: Training): Promise<void> {
  const { seed } = training;
  const members = whole("ensemble", 1);
  const isMethod = "recipe" in row;
  const every = whole("every", questionRows.includes(row as Row) ? 20 : 10);
  const sigmas = isMethod ? [row.recipe.sigma as number] : row.sigmas;
  const certifications = sigmas.map((sigma) => ({
    ...{ name: row.name, members, sigma, n: whole("n", 10_000), every },
    precision: isMethod ? ("float32" as const) : ("int8" as const),
    pretraining: isMethod ? undefined : row.pretraining?.name,
  }));
  const missing = certifications.filter(
    (wanted) => !existsSync(join(results, `${resultName(wanted, seed)}.json`)),
  );
  if (values.certify && missing.length === 0) return;
  const trained: TrainedClassifier[] = [];
  const wantedMembers = isMethod && values.compare && epochs === undefined ? 0 : members;
  for (let i = 0; i < wantedMembers; i++) {
    const own = { ...training, seed: seed + i };
    const member = await (isMethod ? trainMethod(row, own, epochs) : trainRow(row, own));
    if (member) trained.push(member);
  }
  if (values.certify && trained.length === members)
    for (const wanted of missing) await certifyRow(trained, wanted, training);
  if (isMethod)
    console.log(
      compareCurves(ownCurve(runFolder(row.name, seed)), publishedCurve(row.name)).join("\n"),
    );
}

const epochs = values.epochs === undefined ? undefined : whole("epochs", 1);
await runAsProgram(async (signal) => {
  if (values.help) console.log(help);
  else if (values.list) console.log(all.map(({ name }) => name).join("\n"));
  else {
    const chosen = chosenRows();
    await selectBackend("cpu");
    const precision = precisionOf(values.precision);
    const { train, test } = await fashionMnist();
    const first = whole("seed", 0, 0);
    const seeds = values.seeds ? Array.from({ length: whole("seeds", 3) }, (_, i) => i) : [first];
    for (const seed of seeds)
      for (const row of chosen) await runRow(row, { seed, precision, train, test, signal });
  }
});
