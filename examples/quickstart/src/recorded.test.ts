// The READMEs' rows are those of the recorded logs: `results/` here, and the shipped model's.
import { readFileSync } from "node:fs";
import { compare, type LogRow, readLog } from "@dmae/smoothing-certify";
import { expect, test } from "vitest";
import { ourRow, publishedRows } from "./table.ts";

const text = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const readmes = [text("../../../README.md"), text("../README.md")];
const radii = [0, 0.25, 0.5];

/** The numbers of the first line that has `label`. */
function numbersOf(markdown: string, label: string): string[] {
  const line = markdown.split("\n").find((candidate) => candidate.includes(label)) ?? "";
  return line.split("|").flatMap((cell) => cell.match(/^ (\d+\.\d+) $/)?.[1] ?? []);
}

const shown = ({ accuracies, acr }: { accuracies: readonly number[]; acr: number }) => [
  ...accuracies.map((share) => (100 * share).toFixed(1)),
  acr.toFixed(3),
];

const recorded = await readLog(new URL("../results/default.tsv.gz", import.meta.url));

test("`npm start`", () => {
  expect(recorded).toHaveLength(200);
  for (const readme of readmes)
    expect([...numbersOf(readme, "`npm start` |"), ...numbersOf(readme, "| `npm start`,")]).toEqual(
      shown(ourRow("", recorded, radii)),
    );
});

test("the shipped model, thinned to the same images and n", async () => {
  const folder = "../../../packages/models/files/fashion-mnist-adv-cr-0.25";
  const log = await readLog(new URL(`${folder}/certified.tsv.gz`, import.meta.url));
  const same = log.filter(({ idx }: LogRow) => idx % 50 === 0);
  const { images, accuracy, averageRadius } = compare(recorded, same, { radii, n: 1000 });
  expect(images).toBe(200);
  const row = { accuracies: accuracy.map(({ b }) => b), acr: averageRadius.b };
  for (const readme of readmes)
    expect(numbersOf(readme, "fashion-mnist-adv-cr-0.25")).toEqual(shown(row));
});

test("published methods", async () => {
  const rows = await publishedRows(0.25, recorded, { radii, n: 1000 });
  const named = rows.filter(({ method }) => readmes[0]!.includes(method));
  expect(named).toHaveLength(4);
  for (const row of named) expect(numbersOf(readmes[0]!, row.method)).toEqual(shown(row));
});
