import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { reproduce } from "@dmae/reproduce";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  temporaryFolder,
  writeBinary,
} from "../../../packages/reproduce/src/testing/image-files.ts";
import { recipes } from "./recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  place = await temporaryFolder();
  process.env.DMAE_CACHE = join(place.folder, "cache");
  await writeBinary(join(place.folder, "data"));
});
afterAll(() => place.dispose());

test.each(Object.values(recipes))("$name runs every stage with --smoke", async (recipe) => {
  const folder = join(place.folder, recipe.name);
  const say: string[] = [];
  await reproduce({ name: "cifar10", recipes, runs: place.folder, say: (line) => say.push(line) }, [
    "--recipe",
    recipe.name,
    "--smoke",
    "--data",
    join(place.folder, "data"),
    "--folder",
    folder,
  ]);
  const report = await readFile(join(folder, "report.html"), "utf8");
  expect(report).toContain("not comparable with the paper");
  expect(report).toContain("polyline"); // the loss
  if (!("certification" in recipe)) return;
  for (const percent of Object.values(recipe.published?.percent ?? {}))
    expect(report).toContain(`<td>${percent.toFixed(1)}</td>`);
  for (const sigma of recipe.certification.sigmas) {
    const log = await readFile(join(folder, "certify", `sigma-${sigma.toFixed(2)}.tsv`), "utf8");
    expect(log.trim().split("\n")).toHaveLength(3); // header, images 0 and 4
  }
});

test("every recipe is frozen, named as its key, and begins with one that exists", () => {
  for (const [name, recipe] of Object.entries(recipes)) {
    expect(recipe.name).toBe(name);
    expect(recipe.training.name).toBe(name);
    expect(Object.isFrozen(recipe.training.config)).toBe(true);
    expect(recipe.training.source).not.toBe("");
    const { startsFrom } = recipe;
    expect(
      startsFrom === null || startsFrom in recipes || startsFrom === "dmae-vit-b-imagenet-pretrain",
    ).toBe(true);
  }
});

test("docs/recipes.md has a line for every recipe", async () => {
  const text = await readFile(new URL("../../../docs/recipes.md", import.meta.url), "utf8");
  for (const name of Object.keys(recipes)) expect(text).toContain(`| \`${name}\` |`);
});
