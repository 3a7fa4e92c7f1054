import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { results } from "../certify-row.ts";
import { markdownTable } from "../markdown-table.ts";
import { columns, patchRows } from "./patch-rows.ts";

/** Sides of the square patches of the table, in pixels. */
const sides = [0, 1, 2, 3, 5, 7, 10];

/** What {@link certifyPatchRow} wrote beside the log. */
interface PatchFacts {
  readonly row: string;
  readonly seed: number;
  readonly every: number;
  readonly seconds: { readonly pretraining: number; readonly training: number };
}

/** Share of the images, in percent, that keep their right class under any patch of each side. */
function accuracies(file: string): { images: number; percent: readonly string[] } {
  const [head = "", ...lines] = gunzipSync(readFileSync(file)).toString().trim().split("\n");
  const [correct, radius] = ["correct", "radius"].map((name) => head.split("\t").indexOf(name));
  const rows = lines.map((line) => line.split("\t").map(Number));
  const share = (side: number) =>
    rows.filter((row) => row[correct!] === 1 && row[radius!]! >= side).length;
  return {
    images: rows.length,
    percent: sides.map((side) => ((100 * share(side)) / rows.length).toFixed(1)),
  };
}

/** The section of docs/results.md on patches, or a line that says that nothing has been run. */
export function patchSection(): string {
  const files = readdirSync(results)
    .filter((name) => name.endsWith(".patch.json"))
    .sort();
  const body = files.map((name) => {
    const facts = JSON.parse(readFileSync(join(results, name), "utf8")) as PatchFacts;
    const { images, percent } = accuracies(join(results, name.replace(/patch\.json$/, "tsv.gz")));
    const { label } = patchRows.find((row) => row.name === facts.row)!;
    const minutes = Math.round((facts.seconds.pretraining + facts.seconds.training) / 60);
    return [label, ...percent, images, `${minutes} min`];
  });
  const head = ["certified accuracy, %", ...sides.map((s) => `${s}x${s}`), "images", "training"];
  return `## Patches

Share of the test images whose right class no square patch can change, wherever it lies and whatever it
shows. (De)randomized smoothing with bands of ${columns} columns at each of the 28 places; the certificate is
deterministic. \`npm run patch\` trains and certifies the rows. Training times are of a machine with other
work; alone, it makes 24 steps a second with the ViT, 3,744 in under three minutes.

${body.length > 0 ? markdownTable(head, body) : "Not run yet."}`;
}
