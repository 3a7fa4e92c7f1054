import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { isCertified, recipeOf, results } from "./certify-row.ts";
import { methodRows } from "./method-rows.ts";
import { questionRows } from "./questions.ts";
import { rows } from "./recipes.ts";
import type { ResultFacts } from "./result-facts.ts";
import { runFolder, running, type Training } from "./train-row.ts";

const folder = `precision-test-${process.pid}`;
const said: string[] = [];
beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation((line: string) => said.push(line));
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(`${runFolder(folder, 0)}.precision`, { force: true });
});

const all = readdirSync(results).filter((name) => /(?<!\.patch|\.curve)\.json$/.test(name));

it.each(all)("%s is of today's recipe, and is not made twice", (name) => {
  const facts = JSON.parse(readFileSync(join(results, name), "utf8")) as ResultFacts;
  const row = [...rows, ...questionRows, ...methodRows].find(
    (candidate) => candidate.name === facts.row,
  )!;
  const wanted = { ...facts, name: facts.row, recipe: recipeOf(row) };
  said.length = 0;
  expect(isCertified(wanted, facts.seed)).toBe(true);
  expect(said).toEqual([expect.stringContaining(`certified on ${facts.date}`)]);
  expect(isCertified(wanted, 999)).toBe(false);
  expect(() => isCertified({ ...wanted, recipe: "another" }, facts.seed)).toThrow(
    `is of another recipe (${facts.recipe}, and the row's is another); --again replaces it`,
  );
});

it("a run that was begun in one precision is not continued in another", () => {
  const start = (precision: Training["precision"]) =>
    running({ seed: 0, precision } as Training, "test", folder);
  start("bfloat16");
  start("bfloat16");
  expect(() => start("float32")).toThrow("was begun in bfloat16, got float32");
  writeFileSync(`${runFolder(folder, 0)}.precision`, ""); // killed before it was written
  start("float32");
  expect(() => start("bfloat16")).toThrow("was begun in float32, got bfloat16");
});
