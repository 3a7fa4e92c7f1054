import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { publishedLogs, publishedSettings } from "@dmae/fashion-mnist/logs";
import { modelCards } from "@dmae/models";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  compare,
  type LogRow,
  readLog,
} from "@dmae/smoothing-certify";
import { canvasSection } from "./canvas/canvas-results.ts";
import { type ResultFacts, results } from "./certify-row.ts";
import { markdownTable } from "./markdown-table.ts";
import { methodRows } from "./method-rows.ts";
import { patchSection } from "./patch/patch-results.ts";
import { type Question, questionRows, questions } from "./questions.ts";
import { rows as mainRows } from "./recipes.ts";

/** A certified row: what made it, and its log. */
export interface Result extends ResultFacts {
  readonly log: readonly LogRow[];
}

/** Radii of the tables. */
const radii = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

/** Every result in {@link results}. */
export async function readResults(): Promise<readonly Result[]> {
  const names = readdirSync(results).filter((name) => /(?<!\.patch)\.json$/.test(name));
  return Promise.all(
    names.sort().map(async (name) => ({
      ...(JSON.parse(readFileSync(join(results, name), "utf8")) as ResultFacts),
      log: await readLog(join(results, name.replace(/json$/, "tsv.gz"))),
    })),
  );
}

const labels = new Map<string, string>([
  ...[...mainRows, ...questionRows].map(({ name, label }) => [name, label] as const),
  ...methodRows.map(({ name }) => [name, `${name.split("-")[0]}, LeNet`] as const),
]);
const percent = (share: number) => (100 * share).toFixed(1);
const hours = (seconds: number) =>
  seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

/** Mean and standard deviation of a number over seeds. */
function spread(values: readonly number[], digits: number): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return mean.toFixed(digits);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return `${mean.toFixed(digits)} ± ${Math.sqrt(squares / (values.length - 1)).toFixed(digits)}`;
}

/** The published rows at this noise, thinned to `n`, on the images of `ours`, by average certified radius. */
async function published(sigma: number, n: number, ours: readonly LogRow[]) {
  const settings = { sigma, n: publishedSettings.n, alpha: publishedSettings.alpha };
  const logs = publishedLogs.filter((log) => log.sigma === sigma);
  const found = await Promise.all(
    logs.map(async ({ method, url }) => {
      const found = compare(await readLog(url), ours, { radii, n, published: settings });
      return { method, ...found };
    }),
  );
  return found.sort((a, b) => a.averageRadius.a - b.averageRadius.a);
}

/** Our rows at one noise beside the published ones, on the same images and at the same n. */
async function mainTable(
  sigma: number,
  entries: readonly { label: string; n: number; cost: string; log: readonly LogRow[] }[],
): Promise<string> {
  const parts = await Promise.all(
    entries.map(async ({ label, n, cost, log }) => {
      const theirs = await published(sigma, n, log);
      const own = certifiedAccuracy(log, radii);
      const reached = (i: number) =>
        own[i]! > 0 || theirs.some(({ accuracy }) => accuracy[i]!.a > 0);
      const shown = radii.filter((_, i) => reached(i));
      const line = (name: string, shares: readonly number[], radius: number, margin: string) => [
        name,
        ...shares.slice(0, shown.length).map(percent),
        ...[radius.toFixed(3), margin],
      ];
      const body = theirs.map(({ method, accuracy, averageRadius: { a, b, low, high } }) =>
        line(
          method,
          accuracy.map((pair) => pair.a),
          a,
          `${signed(b - a)} [${signed(low)}, ${signed(high)}]`,
        ),
      );
      const last = line(`**${label}**`, own, averageCertifiedRadius(log), "");
      const head = ["certified accuracy, %", ...shown.map(String), "ACR", "ours minus it, 95 %"];
      return `${log.length} test images, n = ${n.toLocaleString("en")}. ${cost}\n\n${markdownTable(head, [...body, last])}`;
    }),
  );
  return parts.join("\n\n");
}

const signed = (value: number) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;

/** The answer to a question as far as its rows have been run: means over seeds. */
function questionTable({ title, rows, sigmas = [0.25] }: Question, all: readonly Result[]): string {
  const shown = radii.slice(0, sigmas.length > 1 ? 5 : 4);
  const body = sigmas.flatMap((sigma) =>
    rows.flatMap((name) => {
      const runs = all.filter((result) => result.row === name && result.sigma === sigma);
      if (runs.length === 0) return [];
      const label =
        sigmas.length > 1 ? `${labels.get(name)}, certified at ${sigma}` : labels.get(name)!;
      const shares = runs.map(({ log }) => certifiedAccuracy(log, shown));
      return [
        [
          label,
          ...shown.map((_, i) =>
            spread(
              shares.map((share) => 100 * share[i]!),
              1,
            ),
          ),
          spread(
            runs.map(({ log }) => averageCertifiedRadius(log)),
            3,
          ),
          String(runs.length),
        ],
      ];
    }),
  );
  const head = ["certified accuracy, %", ...shown.map(String), "ACR", "seeds"];
  const missing = rows.filter((name) => !all.some((result) => result.row === name));
  const rest = missing.map((name) => labels.get(name)).join("; ");
  const parts = [
    `### ${title}`,
    ...(body.length > 0 ? [markdownTable(head, body)] : []),
    ...(rest ? [`Not run yet: ${rest}.`] : []),
  ];
  return parts.join("\n\n");
}

/** Shipped models as entries of the main tables. */
const shipped = () =>
  Promise.all(
    modelCards.map(async ({ name, sigma, training, certified: { n, log } }) => ({
      ...{ sigma, n, label: `\`${name}\` of @dmae/models` },
      cost: `Training: ${training.cost}.`,
      log: await readLog(new URL(`../../../packages/models/files/${name}/${log}`, import.meta.url)),
    })),
  );

const trained = (all: readonly Result[]) =>
  all
    .filter(({ row }) => !row.startsWith("q-"))
    .map(({ row, seed, sigma, n, trainingPrecision, seconds, machine, date, log }) => ({
      ...{ sigma, n, log, label: `${labels.get(row)}, seed ${seed}` },
      cost: `Pre-training ${hours(seconds.pretraining)}, training ${hours(seconds.training)} in ${trainingPrecision}, certification ${hours(seconds.certification)} on ${machine}, ${date}.`,
    }));

/** docs/results.md, from the logs alone. */
export async function resultsPage(): Promise<string> {
  const all = await readResults();
  const entries = [...(await shipped()), ...trained(all)];
  const sigmas = [0.25, 0.5, 1];
  const tables = await Promise.all(
    sigmas.map(async (sigma) => {
      const here = entries.filter((entry) => entry.sigma === sigma);
      const text = here.length > 0 ? await mainTable(sigma, here) : "No row of ours is finished.";
      return `## sigma = ${sigma}\n\n${text}`;
    }),
  );
  return `# Results on Fashion-MNIST

<!-- Written by \`npm run results\` in examples/fashion-mnist from the logs; the tests check that it is up to date. -->

Certified accuracy is the share of test images that are classified correctly with a radius of at least
the column's. ACR is the average certified radius, with 0 for a wrong answer or an abstention. Every
certificate holds with probability 0.999 (alpha = 0.001).

Published rows are LeNets, from the per-image logs of ${publishedSettings.source}
(${publishedSettings.license}). They are brought to our n and to our images, so all rows of a table
can be compared. The last column is our ACR minus that row's, with its paired 95 % interval over images.

To make a row again: \`npm start -- --row NAME --certify\` in
[examples/fashion-mnist](../examples/fashion-mnist/README.md). To check one, run
\`npx smoothing-certify analyze LOG\` or \`compare LOG OTHER\`. The logs lie in
\`examples/fashion-mnist/results\` and \`packages/models/files\`.

${tables.join("\n\n")}

${patchSection()}

${canvasSection()}

## The paper's questions at a small size

A ViT with 16 patches of 7x7 and 0.8 M parameters, four epochs of pre-training and two of fine-tuning
unless the question is about them; sigma 0.25, 500 test images, n = 10,000, int8. Mean and standard
deviation over seeds. \`npm start -- --row questions --seeds 3 --certify\` makes all of them.

${questions.map((question) => questionTable(question, all)).join("\n\n")}
`;
}
