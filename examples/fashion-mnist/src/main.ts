// Certified robustness on Fashion-MNIST, one named row at a time: trains it, certifies it, and keeps its log in results/.
// Interrupted and started again with the same words, it goes on where it was. README.md has the rows and what they cost.
import { DmaeError } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import type { TrainedClassifier } from "@dmae/finetune";
import { selectBackend } from "@dmae/nn";
import {
  commandLine,
  type Precision,
  precisionOf,
  runAsProgram,
  wholeNumber,
} from "@dmae/reproduce/program";
import { certifyRow, isCertified, recipeOf } from "./certify-row.ts";
import { compareCurves, curveColumns, keepCurve, publishedCurve } from "./curve.ts";
import { type MethodRow, methodRows } from "./method-rows.ts";
import { questionRows, questionSettings } from "./questions.ts";
import { type Row, rows } from "./recipes.ts";
import { type Training, trainMethod, trainRow } from "./train-row.ts";

const help = `npm start -- --row NAME[,NAME…] [options]

  --row NAMES      rows by name, or "questions" for all rows of the paper's questions
  --seed 0         every random draw follows from it
  --seeds 3        runs each row with the seeds 0, 1, 2; of an ensemble of K, with 0, K, 2K
  --ensemble K     one classifier of K members that differ in the seed: where the first two disagree, the
                   logits of all are added; default 1
  --certify        certifies the trained row and keeps the log in results/
  --again          certifies a row anew that has its log in results/
  --every 10       every how many test images are certified; 20 for the paper's questions
  --n 10000        noisy copies of an image; 1000 for the paper's questions
  --precision P    float32 (default), or bfloat16 or float16 for the products of the training: bfloat16 is
                   faster on a processor with AVX512-BF16
  --epochs N       published methods only: trains for N more epochs and stops
  --compare        published methods only: prints the training curve beside the published one, without
                   training unless --epochs is given
  --list           the names of the rows`;

const all: readonly (Row | MethodRow)[] = [...rows, ...questionRows, ...methodRows];

const commandOptions = {
  row: { type: "string" },
  seed: { type: "string" },
  seeds: { type: "string" },
  ensemble: { type: "string", default: "1" },
  certify: { type: "boolean", default: false },
  again: { type: "boolean", default: false },
  every: { type: "string" },
  n: { type: "string" },
  precision: { type: "string" },
  epochs: { type: "string" },
  compare: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

type Values = ReturnType<typeof commandLine<typeof commandOptions>>;

/** What the command line asks for. */
interface Command {
  readonly chosen: readonly (Row | MethodRow)[];
  /** The first seed of each run. */
  readonly seeds: readonly number[];
  readonly members: number;
  readonly certify: boolean;
  readonly again: boolean;
  readonly every: number | undefined;
  readonly n: number | undefined;
  readonly precision: Precision;
  readonly epochs: number | undefined;
  readonly compare: boolean;
}

const isMethod = (row: Row | MethodRow): row is MethodRow => "recipe" in row;

/** The command, every number checked before anything is trained. */
function commandOf(values: Values): Command {
  const number = (name: "seed" | "seeds" | "every" | "n" | "epochs", least = 1) =>
    values[name] === undefined ? undefined : wholeNumber(name, values[name], least);
  const { certify, again, compare } = values;
  const [seeds, epochs] = [number("seeds"), number("epochs")];
  const members = wholeNumber("ensemble", values.ensemble);
  const first = number("seed", 0) ?? 0;
  const chosen = chosenRows(values.row);
  const own = chosen.find((row) => !isMethod(row));
  if (own && (compare || epochs !== undefined))
    throw new DmaeError(
      "argument",
      `--${compare ? "compare" : "epochs"}: is for the published methods, got --row ${own.name}`,
    );
  const idle = (["again", "every", "n"] as const).find((name) => values[name]);
  if (idle && !certify)
    throw new DmaeError("argument", `--${idle}: is for --certify, which is missing`);
  if (seeds !== undefined && values.seed !== undefined)
    throw new DmaeError("argument", "--seed and --seeds: give one of them, got both");
  return {
    ...{ chosen, members, certify, again, compare, epochs },
    // the members of one classifier have successive seeds, which no other classifier shares
    seeds: Array.from({ length: seeds ?? 1 }, (_, i) => first + i * members),
    ...{ every: number("every"), n: number("n"), precision: precisionOf(values.precision) },
  };
}

/** The rows that `--row` names. */
function chosenRows(names: string | undefined): readonly (Row | MethodRow)[] {
  if (names === "questions") return questionRows;
  return (names ?? "").split(",").map((name) => {
    const row = all.find((candidate) => candidate.name === name);
    if (row) return row;
    const known = all.map((candidate) => candidate.name).join(", ");
    throw new DmaeError("argument", `--row: must be one of ${known}, got ${name || "none"}`);
  });
}

/** Trains a row where it is not trained yet, and certifies it where it is not certified yet. */
async function runRow(row: Row | MethodRow, command: Command, training: Training): Promise<void> {
  const { members, compare, epochs } = command;
  const { seed } = training;
  const defaults = questionRows.includes(row as Row) ? questionSettings : { every: 10, n: 10_000 };
  const sigmas = isMethod(row) ? [row.recipe.sigma as number] : row.sigmas;
  const certifications = sigmas.map((sigma) => ({
    ...{ name: row.name, recipe: recipeOf(row), members, sigma },
    ...{ n: command.n ?? defaults.n, every: command.every ?? defaults.every },
    precision: isMethod(row) ? ("float32" as const) : ("int8" as const),
    pretraining: isMethod(row) ? undefined : row.pretraining?.name,
  }));
  const missing = command.certify
    ? certifications.filter((wanted) => command.again || !isCertified(wanted, seed))
    : [];
  if (command.certify && missing.length === 0) return;
  const trained: TrainedClassifier[] = [];
  const wantedMembers = compare && epochs === undefined ? 0 : members;
  for (let i = 0; i < wantedMembers; i++) {
    const own = { ...training, seed: seed + i };
    const member = await (isMethod(row) ? trainMethod(row, own, epochs) : trainRow(row, own));
    if (member) trained.push(member);
  }
  if (trained.length === members)
    for (const wanted of missing) await certifyRow(trained, wanted, training);
  if (isMethod(row)) {
    const curve = await keepCurve(row.name, seed);
    const pairs = compareCurves(curve, publishedCurve(row.name));
    console.log(`${row.name}, ours / published`);
    for (const cells of [curveColumns, ...pairs]) console.log(cells.join("\t"));
  }
}

await runAsProgram(async (signal) => {
  const values = commandLine(commandOptions);
  if (values.help) return console.log(help);
  if (values.list) return console.log(all.map(({ name }) => name).join("\n"));
  const command = commandOf(values);
  const { precision } = command;
  await selectBackend("cpu");
  const { train, test } = await fashionMnist();
  for (const seed of command.seeds)
    for (const row of command.chosen)
      await runRow(row, command, { seed, precision, train, test, signal });
});
