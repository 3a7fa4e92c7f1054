import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as api from "./index.ts";
import { pinnedReleases } from "./pinned-wheels.ts";
import { defaultTensorFlow } from "./tensorflow/link.ts";
import { requiredSymbols } from "./tensorflow/symbols.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

it("the README names each release with its size, each export and the number of functions", () => {
  for (const { version, cpu } of pinnedReleases) {
    expect(readme).toContain(`| ${version} | ${Math.round(cpu.x64.bytes / 1e6)} MB |`);
  }
  for (const name of Object.keys(api)) expect(readme).toContain(`\`${name}`);
  expect(readme).toContain(`the ${requiredSymbols.length} functions`);
  const gpu = pinnedReleases.find(({ version }) => version === defaultTensorFlow)!.gpu.x64;
  expect(readme).toContain(
    `${(gpu.reduce((sum, { bytes }) => sum + bytes, 0) / 1e9).toFixed(1)} GB`,
  );
});
