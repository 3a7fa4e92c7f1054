import { writeFile } from "node:fs/promises";
import { ABSTAIN, type LogRow } from "@dmae/smoothing-certify";
import { dataUri, type Picture, toPng } from "./pictures.ts";
import type { TableRow } from "./table.ts";

/** What the report shows. */
export interface Report {
  /** What was run, as name and value. */
  facts: Readonly<Record<string, string>>;
  /** Certified accuracy by method. */
  table: { radii: readonly number[]; rows: readonly TableRow[]; note: string };
  /** The curve of certified accuracy against radius, as SVG text. */
  curve: string;
  /** Rows of original, noisy, masked and reconstructed images. */
  reconstructions: Picture;
  /** A few test images with what was certified for them. */
  examples: readonly { picture: Picture; text: string }[];
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const image = (picture: Picture, scale: number, alt: string) =>
  `<img alt="${escapeHtml(alt)}" width="${picture.width * scale}" height="${picture.height * scale}" src="${dataUri(toPng(picture))}">`;

const percent = (share: number) => (100 * share).toFixed(1);

function table({ radii, rows, note }: Report["table"]): string {
  const head = radii.map((r) => `<th>r = ${r.toFixed(2)}</th>`).join("");
  const body = rows
    .map(
      ({ method, accuracies, acr, ours }) =>
        `<tr${ours ? ' class="ours"' : ""}><td>${escapeHtml(method)}</td>` +
        accuracies.map((a) => `<td>${percent(a)}</td>`).join("") +
        `<td>${acr.toFixed(3)}</td></tr>`,
    )
    .join("\n");
  return `<table><thead><tr><th>certified accuracy, %</th>${head}<th>ACR</th></tr></thead><tbody>
${body}
</tbody></table><p class="note">${escapeHtml(note)}</p>`;
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; } th:first-child, td:first-child { text-align: left; }
tr.ours { font-weight: 600; background: #eef5ff; }
img { image-rendering: pixelated; display: block; } svg { max-width: 100%; height: auto; }
figure { display: inline-block; margin: 0 1rem 1rem 0; width: 9.5rem; vertical-align: top; } figcaption, .note { font-size: .85rem; color: #555; }
.columns { display: flex; width: 348px; font-size: .85rem; color: #555; } .columns span { width: 90px; }
dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; } dt { color: #555; } dd { margin: 0; }
@media (prefers-color-scheme: dark) { body { background: #fff; } }
`;

/** The report as one page without outside files. */
export function reportHtml(report: Report): string {
  const facts = Object.entries(report.facts)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join("");
  const examples = report.examples
    .map(
      ({ picture, text }) =>
        `<figure>${image(picture, 5, text)}<figcaption>${escapeHtml(text)}</figcaption></figure>`,
    )
    .join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>DMAE quickstart: certified accuracy on Fashion-MNIST</title><style>${style}</style></head><body>
<h1>A provably robust classifier of Fashion-MNIST</h1>
<p>A Denoising Masked Autoencoder was pre-trained, fine-tuned under Gaussian noise, and smoothed. For each test image below the
procedure returned a class and a radius: with confidence 1 − alpha per image, no change of the image with an l2 norm below
that radius (pixels in [0, 1]) changes the class that the smoothed classifier gives.</p>
<h2>Certified accuracy</h2>
${table(report.table)}
${report.curve}
<h2>What the autoencoder learned</h2>
<div class="columns"><span>original</span><span>noisy</span><span>masked</span><span>reconstructed</span></div>
${image(report.reconstructions, 3, "Rows of original, noisy, masked and reconstructed images")}
<h2>Test images and their certificates</h2>
${examples}
<h2>This run</h2>
<dl>${facts}</dl>
</body></html>
`;
}

/** Writes the report. */
export async function writeReport(file: string, report: Report): Promise<void> {
  await writeFile(file, reportHtml(report));
}

/** What was certified for one image, in words. */
export function certificateText(
  { label, predict, radius }: LogRow,
  classNames: readonly string[],
): string {
  const name = (index: number) => classNames[index] ?? `class ${index}`;
  if (predict === ABSTAIN) return `${name(label)}: abstains`;
  const verdict = predict === label ? "" : ` (wrong, it is ${name(label)})`;
  return `${name(predict)}${verdict}, radius ${radius.toFixed(3)}`;
}
