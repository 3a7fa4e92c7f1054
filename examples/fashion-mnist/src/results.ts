import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { publishedLogs, publishedSettings } from "@dmae/fashion-mnist/logs";
import { modelCards } from "@dmae/models";
import { certifiedAccuracy, compare, type LogRow, readLog } from "@dmae/smoothing-certify";
import { canvasSection } from "./canvas/canvas-results.ts";
import { results } from "./certify-row.ts";
import { markdownTable, signed } from "./markdown-table.ts";
import { methodRows } from "./method-rows.ts";
import { patchSection } from "./patch/patch-results.ts";
import { questionSection } from "./question-results.ts";
import { rows as mainRows } from "./recipes.ts";
import { cost, type ResultFacts, shippedName } from "./result-facts.ts";
import { curvesFile, sigmas } from "./result-pictures.ts";

/** A certified row: what made it, and its log. */
export interface Result extends ResultFacts {
  readonly log: readonly LogRow[];
}

/** Radii of the tables. */
const radii = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

/** Every result in {@link results}. */
export async function readResults(): Promise<readonly Result[]> {
  const names = readdirSync(results).filter((name) => /(?<!\.patch|\.curve)\.json$/.test(name));
  return Promise.all(
    names.sort().map(async (name) => ({
      ...(JSON.parse(readFileSync(join(results, name), "utf8")) as ResultFacts),
      log: await readLog(join(results, name.replace(/json$/, "tsv.gz"))),
    })),
  );
}

const labels = new Map<string, string>([
  ...mainRows.map(({ name, label }) => [name, label] as const),
  ...methodRows.map(({ name }) => [name, `${name.split("-")[0]}, LeNet`] as const),
]);
const percent = (share: number) => (100 * share).toFixed(1);

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

/** A certified row of ours in the main tables. */
interface Entry {
  readonly label: string;
  readonly sigma: number;
  readonly n: number;
  /** What it took. */
  readonly cost: string;
  /** Beginning of the published row that it repeats; without it, the best one is what it is compared with. */
  readonly repeats?: string | undefined;
  readonly log: readonly LogRow[];
}

/** Our rows at one noise and the published ones: a table for each n and choice of images. */
async function mainTables(entries: readonly Entry[]): Promise<string> {
  const kinds = new Map<string, Entry[]>();
  for (const entry of entries) {
    const kind = `${entry.n} ${entry.log.map(({ idx }) => idx)}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), entry]);
  }
  const tables = await Promise.all([...kinds.values()].map(mainTable));
  return tables.join("\n\n");
}

/** Rows of ours with one n on the same images beside the published ones, by average certified radius. */
async function mainTable(entries: readonly Entry[]): Promise<string> {
  const [{ sigma, n, log: first }] = entries as [Entry, ...Entry[]];
  const compared = await Promise.all(entries.map(({ log }) => published(sigma, n, log)));
  const theirs = compared[0]!.map(({ method, accuracy, averageRadius }) => ({
    ...{ name: method, margin: "", radius: averageRadius.a },
    accuracy: accuracy.map(({ a }) => a),
  }));
  const ours = entries.map(({ label, repeats, log }, i) => {
    const rows = compared[i]!;
    const other = repeats ? rows.find(({ method }) => method.startsWith(repeats))! : rows.at(-1)!;
    const { a, b, low, high } = other.averageRadius;
    return {
      ...{ name: `**${label}**`, radius: b, accuracy: certifiedAccuracy(log, radii) },
      margin: `${signed(b - a)} [${signed(low)}, ${signed(high)}] ${other.method.split(" ")[0]}`,
    };
  });
  const all = [...theirs, ...ours].sort((a, b) => a.radius - b.radius);
  const shown = radii.filter((_, i) => all.some(({ accuracy }) => accuracy[i]! > 0));
  const body = all.map(({ name, accuracy, radius, margin }) => [
    ...[name, ...accuracy.slice(0, shown.length).map(percent)],
    ...[radius.toFixed(3), margin],
  ]);
  const head = ["certified accuracy, %", ...shown.map(String), "ACR", "less the published, 95 %"];
  return [
    `${first.length} test images, n = ${n.toLocaleString("en")}.`,
    markdownTable(head, body),
    entries
      .map(({ label, cost }) => `- ${label}:\n  ${cost.replace(/, (?=\d+ cores)/, ",\n  ")}`)
      .join("\n"),
  ].join("\n\n");
}

/** Shipped models as entries of the main tables. */
const shipped = (): Promise<Entry[]> =>
  Promise.all(
    modelCards.map(async ({ name, sigma, training, certified: { n, log } }) => ({
      ...{ sigma, n, label: `\`${name}\` of @dmae/models` },
      cost: `${training.cost}.`,
      log: await readLog(new URL(`../../../packages/models/files/${name}/${log}`, import.meta.url)),
    })),
  );

/** Published methods by the names of ours. */
const repeated: Readonly<Record<string, string>> = {
  ...{ gaussian: "Gaussian", stability: "Stability", smoothAdv: "SmoothAdv", macer: "MACER" },
  ...{ consistency: "Consistency", smoothMix: "SmoothMix", catRs: "CAT-RS" },
};

/** Whether a shipped model has this result in its card: seed 0, like all of them. */
const isShipped = ({ row, seed, members, n, log }: Result) =>
  seed === 0 &&
  members === 1 &&
  modelCards.some(
    ({ name, certified }) =>
      name === shippedName(row) && certified.n === n && certified.images === log.length,
  );

/** Our trained rows as entries of the main tables; a shipped one has its entry already. */
const trained = (all: readonly Result[]): Entry[] =>
  all
    .filter(({ row }) => !row.startsWith("q-"))
    .filter((result) => !isShipped(result))
    .map((result) => ({
      ...{ sigma: result.sigma, n: result.n, log: result.log },
      label: `${labels.get(result.row)}, ${result.members > 1 ? `${result.members} members` : `seed ${result.seed}`}`,
      repeats: repeated[result.row.split("-")[0]!],
      cost: `\`${result.row}\`; ${cost(result)}.`,
    }));

/** The curves of {@link curvesPicture} as the page shows them. */
const pictureOf = (sigma: number) =>
  `![Certified accuracy against radius, sigma ${sigma}: ours and three published](${curvesFile(sigma)})`;

/** docs/results.md, from the logs alone. */
export async function resultsPage(): Promise<string> {
  const all = await readResults();
  const entries = [...(await shipped()), ...trained(all)];
  const tables = await Promise.all(
    sigmas.map(async (sigma) => {
      const here = entries.filter((entry) => entry.sigma === sigma);
      const text = here.length > 0 ? await mainTables(here) : "No row of ours is finished.";
      return `## sigma = ${sigma}\n\n${pictureOf(sigma)}\n\n${text}`;
    }),
  );
  return `# Results on Fashion-MNIST

<!-- Written by \`npm run results\` in examples/fashion-mnist from the logs; a test checks it. -->

Certified accuracy is the share of test images that are classified correctly with a radius of at least
the column's. ACR is the average certified radius, with 0 for a wrong answer or an abstention. Each
certificate by itself holds with probability 0.999 (alpha = 0.001); of a thousand, one or two may be wrong.

Published rows are LeNets, from the per-image logs of ${publishedSettings.source}
(${publishedSettings.license}). They are brought to our images and to our n:
what draws of n of their 100,000 votes would give on average, with the votes read off the printed radius. So
all rows of a table can be compared; ours are in bold. The last column is the ACR of a row of ours less that
of the published row it is named after, or else of the best one, with the paired 95 % interval over images.
One seed stands against one seed: how much training varies is not in the interval.

To make a row again, in [examples/fashion-mnist](../examples/fashion-mnist/README.md):
\`npm start -- --row NAME --certify --again\`, with \`--precision bfloat16\` where its line below the table
says so. \`fashion-mnist-adv-cr-0.25\` of @dmae/models is the row \`dmae-adv-cr-0.25\`, and so on. Without
\`--again\`, a row that is certified already is only named. To check one there, with the
published logs of \`packages/fashion-mnist/data/published\`:

\`\`\`sh
log=results/gaussian-0.25-at-0.25-n-10000-every-10-seed-0.tsv.gz
npx smoothing-certify analyze $log
npx smoothing-certify compare ../../packages/fashion-mnist/data/published/cohen-0.25.tsv.gz $log \\
  --sigma 0.25 --votes 100000 --alpha 0.001
\`\`\`

${tables.join("\n\n")}

## Reconstructions

What the shipped DMAE makes of eight test images: the image, the image with noise of sigma 0.25, the quarter
of its patches that the encoder is shown, the decoder's answer. \`npm start -- --pretrained\` in the root of
the repository draws them.

![Image, noisy copy, patches that are shown, reconstruction](images/reconstructions.png)

${patchSection()}

${canvasSection()}

${questionSection(all)}
`;
}
