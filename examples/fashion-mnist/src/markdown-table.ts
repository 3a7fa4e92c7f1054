/** A Markdown table; the first column is text, the others are numbers. */
export const markdownTable = (
  head: readonly string[],
  body: readonly (readonly (string | number)[])[],
): string =>
  [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...body]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");

/** A difference with its sign and three digits. */
export const signed = (value: number) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;
