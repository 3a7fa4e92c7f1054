import type { Measurement } from "./evaluate-stage.ts";

/** Certified accuracies by method. */
export interface AccuracyTable {
  /** Radii of the columns. */
  readonly radii: readonly number[];
  /** Rows as text. */
  readonly rows: readonly {
    readonly name: string;
    readonly images: string;
    readonly cells: readonly string[];
  }[];
  /** Footnote. */
  readonly note: string;
}

/** What the page shows. */
export interface ReportPage {
  /** Name of the recipe. */
  readonly title: string;
  /** Row of the paper. */
  readonly paper: string;
  /** What was run, by name. */
  readonly facts: Readonly<Record<string, string>>;
  /** Fields in which the run differs from the recipe. */
  readonly changes: readonly string[];
  /** The recipe as it was run. */
  readonly settings: string;
  /** Curve of the loss, SVG. */
  readonly loss: string | undefined;
  /** Clean, noisy and voted accuracy. */
  readonly measurements: readonly Measurement[];
  /** Certified accuracy. */
  readonly table: AccuracyTable | undefined;
  /** Curve of certified accuracy, SVG. */
  readonly curve: string | undefined;
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; } th:first-child, td:first-child { text-align: left; }
.note { font-size: .85rem; color: #555; } .warning { background: #fff4e0; padding: .5rem 1rem; }
svg { max-width: 100%; height: auto; } pre { font-size: .75rem; }
dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; } dt { color: #555; } dd { margin: 0; }`;

/** The page, without outside files. */
export function reportHtml(page: ReportPage): string {
  const facts = Object.entries(page.facts)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(page.title)}</title><style>${style}</style></head><body>
<h1>${escapeHtml(page.title)}</h1>
<p>${escapeHtml(page.paper)}</p>
${changes(page)}
${page.table ? `<h2>Certified accuracy, % [95 % interval]</h2>\n${accuracy(page.table)}` : ""}
${page.curve ?? ""}
${page.measurements.length > 0 ? `<h2>Without a proof</h2>\n${measured(page.measurements)}` : ""}
${page.loss ? `<h2>Training loss</h2>\n${page.loss}` : ""}
<h2>This run</h2>
<dl>${facts}</dl>
<details><summary>every field</summary><pre>${escapeHtml(page.settings)}</pre></details>
</body></html>
`;
}

function changes({ changes: list }: ReportPage): string {
  if (list.length === 0) return "";
  const items = list.map((line) => `<li>${escapeHtml(line)}</li>`).join("");
  return `<div class="warning">This run differs from the paper's row, so its numbers are not comparable with the paper's:<ul>${items}</ul></div>`;
}

function accuracy({ radii, rows, note }: AccuracyTable): string {
  const head = radii.map((radius) => `<th>r = ${radius}</th>`).join("");
  const body = rows
    .map(
      ({ name, images, cells }) =>
        `<tr><td>${escapeHtml(name)}</td><td>${images}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`,
    )
    .join("\n");
  return `<table><thead><tr><th></th><th>images</th>${head}</tr></thead><tbody>\n${body}\n</tbody></table><p class="note">${escapeHtml(note)}</p>`;
}

const names = {
  clean: "clean images",
  noisy: "one noisy copy",
  vote: "vote of noisy copies (radius 0)",
};

function measured(list: readonly Measurement[]): string {
  const body = list
    .map(
      ({ what, sigma, images, accuracy: share, loss }) =>
        `<tr><td>${names[what]}</td><td>${sigma}</td><td>${images}</td><td>${(100 * share).toFixed(2)}</td><td>${loss.toFixed(4)}</td></tr>`,
    )
    .join("\n");
  return `<table><thead><tr><th></th><th>sigma</th><th>images</th><th>accuracy, %</th><th>loss</th></tr></thead><tbody>\n${body}\n</tbody></table>`;
}
