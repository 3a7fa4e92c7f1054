import { averageCertifiedRadius, certifiedAccuracy, type LogRow } from "@dmae/smoothing-certify";
import { studentQuantile } from "@dmae/smoothing-certify/statistics";
import { markdownTable, signed } from "./markdown-table.ts";
import {
  type Comparison,
  type Question,
  questionRows,
  questionSettings,
  questions,
} from "./questions.ts";
import type { Result } from "./results.ts";

/** Radii of the tables; the larger ones at sigma 0.5 alone. */
const radii = [0, 0.25, 0.5, 0.75, 1];

const labels = new Map(questionRows.map(({ name, label }) => [name, label]));
const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The variance of values around their mean; NaN for a single one. */
function variance(values: readonly number[]): number {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
}

/** Mean and standard deviation of a number over seeds. */
const spread = (values: readonly number[], digits: number): string =>
  values.length === 1
    ? mean(values).toFixed(digits)
    : `${mean(values).toFixed(digits)} ± ${Math.sqrt(variance(values)).toFixed(digits)}`;

/** A mean difference with its 95 % interval. */
export interface Difference {
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The mean of differences that vary with the seed and with the image, with an interval that covers the choice of both: the variances of
 * the two means are added, and the degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2).
 *
 * @param differences one list for each seed, two or more, over the same images
 */
export function crossedMean(differences: readonly (readonly number[])[]): Difference {
  const ofSeeds = differences.map(mean);
  const ofImages = differences[0]!.map((_, i) => mean(differences.map((seed) => seed[i]!)));
  const parts = [ofSeeds, ofImages].map((values) => ({
    variance: variance(values) / values.length,
    freedom: values.length - 1,
  }));
  const sum = parts.reduce((total, part) => total + part.variance, 0);
  const freedom = sum ** 2 / parts.reduce((total, p) => total + p.variance ** 2 / p.freedom, 0);
  const half = sum > 0 ? studentQuantile(0.975, freedom) * Math.sqrt(sum) : 0;
  const difference = mean(ofSeeds);
  return { difference, low: difference - half, high: difference + half };
}

/** The certified runs of a row. */
const runsOf = (name: string, sigma: number, all: readonly Result[]): readonly Result[] =>
  all.filter(
    ({ row, members, n, every, sigma: certified }) =>
      row === name &&
      certified === sigma &&
      members === 1 &&
      n === questionSettings.n &&
      every === questionSettings.every,
  );

/** The certified radius of an image; 0 where the answer is wrong or none. */
const radiusOf = ({ correct, radius }: LogRow) => (correct ? radius : 0);

/** What the interval says about the paper's finding. */
const verdict = ({ low, high }: Difference) =>
  low > 0 ? "larger, as in the paper" : high < 0 ? "smaller" : "not told apart";

/** How one row compares with another over the seeds that both have; nothing before there are two. */
function comparisonRow({ better, worse, sigma = 0.25 }: Comparison, all: readonly Result[]) {
  const others = runsOf(worse, sigma, all);
  const differences = runsOf(better, sigma, all).flatMap(({ seed, log }) => {
    const other = others.find((run) => run.seed === seed)?.log;
    return other ? [log.map((row, i) => radiusOf(row) - radiusOf(other[i]!))] : [];
  });
  if (differences.length < 2) return [];
  const found = crossedMean(differences);
  const { difference, low, high } = found;
  const at = sigma === 0.25 ? "" : `, certified at ${sigma}`;
  return [
    [
      `${labels.get(better)} less ${labels.get(worse)}${at}`,
      `${signed(difference)} [${signed(low)}, ${signed(high)}]`,
      verdict(found),
    ],
  ];
}

/** The answer to a question as far as its rows have been run. */
function questionTable(question: Question, all: readonly Result[]): string {
  const { title, paper, rows, sigmas = [0.25], comparisons } = question;
  const shown = sigmas.length > 1 ? radii : radii.slice(0, 3);
  const body = sigmas.flatMap((sigma) =>
    rows.flatMap((name) => {
      const runs = runsOf(name, sigma, all);
      if (runs.length === 0) return [];
      const logs = runs.map(({ log }) => log);
      const at = sigmas.length > 1 ? `, certified at ${sigma}` : "";
      const shares = logs.map((log) => certifiedAccuracy(log, shown));
      const accuracies = shown.map((_, i) =>
        spread(
          shares.map((share) => 100 * share[i]!),
          1,
        ),
      );
      const acr = spread(logs.map(averageCertifiedRadius), 3);
      const minutes = mean(runs.map(({ seconds }) => seconds.pretraining + seconds.training)) / 60;
      return [
        [`${labels.get(name)}${at}`, ...accuracies, acr, runs.length, `${Math.round(minutes)} min`],
      ];
    }),
  );
  const missing = rows.filter((name) =>
    sigmas.some((sigma) => runsOf(name, sigma, all).length === 0),
  );
  const found = comparisons.flatMap((pair) => comparisonRow(pair, all));
  const head = ["certified accuracy, %", ...shown.map(String), "ACR", "seeds", "training"];
  const parts = [
    `### ${title}`,
    paper,
    ...(body.length > 0 ? [markdownTable(head, body)] : []),
    ...(found.length > 0 ? [markdownTable(["ACR", "difference, 95 %", "here"], found)] : []),
    ...(missing.length > 0
      ? [`Not run yet: ${missing.map((name) => labels.get(name)).join("; ")}.`]
      : []),
  ];
  return parts.join("\n\n");
}

/** The section of docs/results.md on the paper's questions. */
export function questionSection(all: readonly Result[]): string {
  const runs = all.filter(({ row }) => labels.has(row));
  const different = (values: readonly string[]) => [...new Set(values)].sort().join(", ");
  return `## The paper's questions at a small size

A ViT with 16 patches of 7x7 and 0.8 M parameters, four epochs of pre-training and two of fine-tuning
unless the question is about them; sigma 0.25, 500 test images, n = 1,000, int8. Mean and standard
deviation over seeds; differences of the ACR with an interval that covers the choice of seeds and of
images. What holds at this size need not hold at another.

\`npm start -- --row questions --seeds 3 --certify --precision bfloat16\` makes all of them. Trained in
${different(runs.map(({ trainingPrecision }) => trainingPrecision))} on ${different(runs.map(({ machine }) => machine))}, ${different(runs.map(({ date }) => date))}.
Two machines made them: times can be compared to a factor of two.

${questions.map((question) => questionTable(question, all)).join("\n\n")}`;
}
