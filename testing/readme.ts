import { readFileSync } from "node:fs";
import { expect } from "vitest";

/** Fails unless `readme` shows the code of `example`, a file that a test runs and tsc checks. */
export function expectReadmeExample(readme: URL, example: URL): void {
  const blocks = [...readFileSync(readme, "utf8").matchAll(/```ts\n([\s\S]*?)```/g)];
  const code = readFileSync(example, "utf8");
  expect(blocks.map(([, block]) => block)).toContain(code);
}
