/** A Markdown table; the first column is text, the others are numbers. */
export const markdownTable = (
  head: readonly string[],
  body: readonly (readonly (string | number)[])[],
): string =>
  [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...body]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
