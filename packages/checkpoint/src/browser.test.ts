import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("what only Node has is imported where it is needed, and left out of bundles for browsers", () => {
  const folder = new URL("./", import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  const shipped = sources.filter((name) => !/test/.test(name));
  const text = shipped.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
  const dynamic = [...text.matchAll(/= await import\("([^"]+)"\)/g)].map((match) => match[1]!);
  const names = new Set(dynamic.map((name) => name.replace(/^node:/, "")));
  const manifest = JSON.parse(readFileSync(new URL("../package.json", folder), "utf8"));
  expect(manifest.browser).toEqual(
    Object.fromEntries([...names].sort().map((name) => [name, false])),
  );
  const statics = [...text.matchAll(/^(?:import|export) [^;]* from "([^"]+)";/gm)];
  expect(
    new Set(statics.map((match) => match[1]!).filter((name) => !name.startsWith("./"))),
  ).toEqual(new Set(["@dmae/core", "@dmae/core/checks", "@dmae/core/files"]));
});
