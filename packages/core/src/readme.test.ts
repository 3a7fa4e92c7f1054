import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as checks from "./checks.ts";
import * as files from "./files.ts";
import * as core from "./index.ts";
import * as random from "./random.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README's example runs, and says what it does", () => {
  const [, code = ""] = readme.match(/```ts\n(?:import .*\n)+([\s\S]*?)```/) ?? [];
  const names = { ...core, ...random };
  const run = new Function(...Object.keys(names), `${code}; return { z, u, order };`);
  const { z, u, order } = run(...Object.values(names));
  const stream = core.foldIn(core.key(0), "noise");
  expect(z).toEqual(core.normal(stream, 3072, { index: 17, standardDeviation: 0.5 }));
  expect(u.every((value: number) => value > 0 && value < 1)).toBe(true);
  expect(order.length).toBe(60_000);
});

test("the README's table names every exported function", () => {
  for (const name of Object.keys({ ...core, ...checks, ...files, ...random }))
    expect(readme).toContain(`\`${name}`);
});
