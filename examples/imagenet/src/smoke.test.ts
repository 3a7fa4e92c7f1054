import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { reproduce } from "@dmae/reproduce";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  temporaryFolder,
  writeImageFolder,
} from "../../../packages/reproduce/src/testing/image-files.ts";
import { recipes } from "./recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  place = await temporaryFolder();
  process.env.DMAE_CACHE = join(place.folder, "cache");
  await writeImageFolder(join(place.folder, "data"));
});
afterAll(() => place.dispose());

// The rivals' noise levels differ in numbers alone: the first of each will do.
const methodOf = (name: string) =>
  name.startsWith("resnet") ? name.replace(/-[\d.]+$/, "") : name;
const names = Object.keys(recipes).map(methodOf);
const smoked = Object.values(recipes).filter(({ name }, i) => names.indexOf(methodOf(name)) === i);

test.each(smoked)("$name runs every stage with --smoke", async (recipe) => {
  const folder = join(place.folder, recipe.name);
  const say: string[] = [];
  await reproduce(
    { name: "imagenet", recipes, runs: place.folder, say: (line) => say.push(line) },
    ["--recipe", recipe.name, "--smoke", "--data", join(place.folder, "data"), "--folder", folder],
  );
  const report = await readFile(join(folder, "report.html"), "utf8");
  expect(report).toContain("not comparable with the paper");
  expect(report).toContain("polyline"); // the loss
  if (!("certification" in recipe)) return;
  for (const percent of recipe.published.flatMap((row) => Object.values(row.percent)))
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
    expect(Object.isFrozen(recipe.training.model)).toBe(true);
    expect(recipe.training.source).not.toBe("");
    const { startsFrom } = recipe;
    expect(
      startsFrom === null || startsFrom in recipes || startsFrom === "dmae-vit-b-imagenet-pretrain",
    ).toBe(true);
  }
});

test("docs/recipes.md has a line for every recipe, with the paper's numbers", async () => {
  const text = await readFile(new URL("../../../docs/recipes.md", import.meta.url), "utf8");
  for (const recipe of Object.values(recipes)) {
    const line = text.split("\n").find((one) => one.startsWith(`| \`${recipe.name}\` |`));
    expect(line, recipe.name).toContain(`| ${recipe.paper} |`);
    for (const { percent, sigma, source } of "published" in recipe ? recipe.published : []) {
      const where = sigma === null ? ", best over sigma" : ` at sigma ${sigma}`;
      const reached = Object.entries(percent).filter(([, value]) => value > 0);
      const numbers = reached.map(([radius, value]) => `${Number(radius)}: ${value.toFixed(1)}`);
      expect(line).toContain(`${source.split(":")[0]}${where} (${numbers.join(", ")})`);
    }
  }
});
