import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { questionRows, questions } from "./questions.ts";
import { curvesFile, curvesPicture, sigmas } from "./result-pictures.ts";
import { resultsPage } from "./results.ts";

const docs = new URL("../../../docs/", import.meta.url);

test("docs/results.md says what the logs say", async () => {
  const page = readFileSync(new URL("results.md", docs), "utf8");
  expect(page, "run `npm run results` in examples/fashion-mnist").toBe(await resultsPage());
  // CAT-RS on every tenth image at n = 10,000, computed from its logs before this program was written.
  const bestPublished = [...page.matchAll(/^\| CAT-RS .* (\d\.\d{3}) \| {2}\|$/gm)];
  expect(bestPublished.map(([, radius]) => radius)).toEqual(["0.666", "1.159", "1.595"]);
});

test.each(sigmas)("the curves at sigma %s are those of the logs", async (sigma) => {
  const file = readFileSync(new URL(curvesFile(sigma), docs), "utf8");
  expect(file === (await curvesPicture(sigma)), "run `npm run results`").toBe(true);
});

test("every row belongs to a question, and every question has its rows", () => {
  const named = questions.flatMap(({ rows }) => rows);
  expect(new Set(named)).toEqual(new Set(questionRows.map(({ name }) => name)));
  const folders = questionRows.map(({ name }) => name);
  expect(new Set(folders).size).toBe(folders.length);
});

test("rows that share a pre-training share its recipe", () => {
  const recipes = new Map<string, string>();
  for (const { pretraining } of questionRows) {
    if (!pretraining) continue;
    const text = JSON.stringify(pretraining);
    expect(recipes.get(pretraining.name!) ?? text).toBe(text);
    recipes.set(pretraining.name!, text);
  }
});
