import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { results } from "../certify-row.ts";
import { markdownTable } from "../markdown-table.ts";

/** The section of docs/results.md on segmentation and labels, or a line that says that nothing has been run. */
export function canvasSection(): string {
  const files = readdirSync(results)
    .filter((name) => name.endsWith(".canvas.tsv"))
    .sort();
  const body = files.flatMap((file) => {
    const [head = "", ...lines] = readFileSync(join(results, file), "utf8").trim().split("\n");
    const names = head.split("\t");
    const column = (name: string) =>
      lines.map((line) => Number(line.split("\t")[names.indexOf(name)]));
    const percent = (name: string) => {
      const values = column(name);
      return ((100 * values.reduce((sum, value) => sum + value, 0)) / values.length).toFixed(1);
    };
    const radius = Math.min(...column("radius")).toFixed(3);
    const n = /n-(\d+)/.exec(file)![1]!;
    return [
      ["pixels, 11 classes", "segmentsRight", "segmentsAbstained"],
      ["labels, 10", "labelsRight", "labelsAbstained"],
    ].map(([what, right, abstained]) => [
      what!,
      percent(right!),
      percent(abstained!),
      radius,
      n,
      lines.length,
    ]);
  });
  const head = ["what", "certified and right, %", "no certificate, %", "radius", "n", "canvases"];
  return `## Many outputs at once

Canvases of 56x56 with up to four items; a ViT with 64 patches and 0.8 M parameters answers for every pixel
and for every label. The certificates of all pixels of a canvas hold together with probability 0.999 within
one radius (sigma 0.25, tau 0.75), and so do those of all labels. \`npm run canvas\` makes the rows.

${body.length > 0 ? markdownTable(head, body) : "Not run yet."}`;
}
