import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, expect, test } from "vitest";

// An application as a browser sees it: a bundler's conditions and tree shaking, one file, no process.
const folder = mkdtempSync(join(tmpdir(), "dmae-bundle-"));
const file = join(folder, "application.mjs");
const asBrowser = `
  const file = process.argv[1];
  globalThis.process = undefined;
  globalThis.window = globalThis;
  globalThis.document = {};
  await import(file);
`;

beforeAll(async () => {
  const entry = new URL("./__fixtures__/bundled-application.ts", import.meta.url);
  await build({
    config: false,
    silent: true,
    entry: { application: fileURLToPath(entry) },
    outDir: folder,
    format: "esm",
    platform: "browser",
    target: "es2022",
    noExternal: [/.*/],
    outExtension: () => ({ js: ".mjs" }),
  });
});

afterAll(() => rmSync(folder, { recursive: true }));

test("in a browser bundle gradients are registered, in the one copy of tfjs-core", () => {
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", asBrowser, file]);
  expect(JSON.parse(output.toString())).toEqual(["cpu", [0.5, 1], 0]); // gelu'(0) x = x / 2
  expect(readFileSync(file, "utf8").match(/class Engine\b|Engine = class/g)).toHaveLength(1);
});
