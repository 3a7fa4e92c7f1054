import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("a plain function and a LayersModel get the same certificates, and no tensor is left", () => {
  const tsx = createRequire(import.meta.url).resolve("tsx/cli");
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const output = execFileSync(process.execPath, [tsx, main], { encoding: "utf8" });
  const certificates = [...output.matchAll(/function: (.+) · model: (.+)/g)];
  expect(certificates).toHaveLength(5);
  for (const [, plain, model] of certificates) expect(plain).toBe(model);
  expect(output).toContain("class 2, radius 0.6158");
  expect(output).toContain("tensors left: 0");
}, 120_000);
