/** Cells as aligned text, Markdown or LaTeX; the first row is the header. */
export function formatTable(
  rows: readonly string[][],
  format: "text" | "markdown" | "latex",
): string {
  if (format === "markdown") return markdown(rows);
  return format === "latex" ? latex(rows) : aligned(rows);
}

function aligned(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  const line = (row: string[]) =>
    row
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join("  ");
  return `${rows.map(line).join("\n")}\n`;
}

function markdown(rows: readonly string[][]): string {
  const line = (row: string[]) =>
    `| ${row.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`;
  const rule = `|${rows[0]!.map((_, c) => (c === 0 ? "---" : "---:")).join("|")}|`;
  return `${[line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n")}\n`;
}

function latex(rows: readonly string[][]): string {
  const safe = (text: string) =>
    text.includes("$") ? text : text.replace(/[\\{}]/g, "").replace(/[#%&_]/g, "\\$&");
  const line = (row: string[]) => `${row.map(safe).join(" & ")} \\\\`;
  const [header, ...body] = rows;
  return `${[
    `\\begin{tabular}{l${"r".repeat(header!.length - 1)}}`,
    "\\toprule",
    line(header!),
    "\\midrule",
    ...body.map(line),
    "\\bottomrule",
    "\\end{tabular}",
  ].join("\n")}\n`;
}
