import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { questionRows, questions } from "./questions.ts";
import { curvesFile, curvesPicture, sigmas } from "./result-pictures.ts";
import { resultsPage } from "./results.ts";

const docs = new URL("../../../docs/", import.meta.url);

test("docs/results.md says what the logs say", async () => {
  const page = readFileSync(new URL("results.md", docs), "utf8");
  expect(page, "run `npm run results` in examples/fashion-mnist").toBe(await resultsPage());
  // The first look's numbers, computed by hand from its log and the published ones.
  expect(page).toMatch(/CAT-RS.*85\.4 \| 82\.8 \| 79\.8 \| 73\.9 .* 0\.643/);
  expect(page).toMatch(/`fashion-mnist-cr-0\.25`.*88\.2 \| 84\.2 \| 79\.8 \| 70\.6 .* 0\.644/);
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
