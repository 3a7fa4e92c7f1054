import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type LogRow, readLog } from "@dmae/smoothing-certify";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClassifierRecipe } from "./recipe.ts";
import { reproduce } from "./reproduce.ts";
import { seedsTable, spreadOf } from "./seeds-report.ts";
import { temporaryFolder, writeBinary } from "./testing/image-files.ts";
import { testRecipes } from "./testing/recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("data"));
});
afterAll(() => place.dispose());

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const example = { name: "test", recipes: testRecipes, runs: at("runs") };
  const more = ["--smoke", "--data", at("data"), "--set", "certification.every=2"];
  await reproduce({ ...example, say: (line) => lines.push(line) }, [...args, ...more]);
  return lines;
}

const row = (idx: number, radius: number): LogRow => ({
  ...{ idx, label: 1, predict: radius > 0 ? 1 : -1, radius },
  ...{ correct: radius > 0 ? 1 : 0, time: 0 },
});

test("means and deviations by hand", () => {
  expect(spreadOf([1, 2, 6])).toEqual({ mean: 3, deviation: Math.sqrt(7) });
  // At radius 0.5: 50, 100 and 0 % of two images; the paper has 50 at sigma 0.25 and 60 as the best.
  const logs = [
    [row(0, 0.6), row(1, 0.1)],
    [row(0, 0.6), row(1, 0.7)],
    [row(0, 0), row(1, 0.2)],
  ];
  const table = seedsTable(testRecipes.cr as ClassifierRecipe, [{ sigma: 0.25, logs }])!;
  expect(table.rows.map(({ name, cells }) => [name, ...cells])).toEqual([
    [
      "3 seeds, sigma 0.25, average certified radius 0.367 ± 0.275",
      "83.3 ± 28.9",
      "50.0 ± 50.0",
      "0.0 ± 0.0",
    ],
    ["paper, Table 2, sigma 0.25", "", "50.0", ""],
    ["difference, points", "", "+0.0", ""],
    ["paper, Table 1, best over sigma", "", "60.0", ""],
    ["difference, points", "", "−10.0", ""],
  ]);
  expect(
    seedsTable(testRecipes.cr as ClassifierRecipe, [{ sigma: 0.25, logs: [] }]),
  ).toBeUndefined();
});

test("the best over sigma is that of the runs to compare with, too", () => {
  const logs = [[row(0, 0.6), row(1, 0.1)]];
  const other = [[row(0, 0.6), row(1, 0.7)]];
  const levels = [
    { sigma: 0.25, logs },
    { run: "half", sigma: 0.5, logs: other },
  ];
  const { rows } = seedsTable(testRecipes.cr as ClassifierRecipe, levels)!;
  expect(rows.map(({ name, cells }) => [name, cells[1]])).toEqual([
    ["1 seed, sigma 0.25, average certified radius 0.350", "50.0"],
    ["half, 1 seed, sigma 0.5, average certified radius 0.650", "100.0"],
    ["paper, Table 2, sigma 0.25", "50.0"],
    ["difference, points", "+0.0"],
    ["paper, Table 1, best over sigma", "60.0"],
    ["difference, points", "+40.0"],
  ]);
});

test("--seeds runs each seed as --seed does, averages them, and goes on where it was", async () => {
  const lines = await run("--recipe", "cr", "--seeds", "2", "--seed", "3", "--folder", at("all"));
  expect(lines.at(-2)).toMatch(/^difference/);
  expect(lines.find((line) => line.startsWith("2 seeds, sigma 0.25"))).toContain("±");
  expect(await readFile(at("all", "seeds.html"), "utf8")).toContain("2 seeds, sigma 0.25");
  await run("--recipe", "cr", "--seed", "4", "--folder", at("four"));
  const votes = async (folder: string) =>
    (await readLog(at(folder, "certify", "sigma-0.25.tsv"))).map(({ time: _, ...one }) => one);
  expect(await votes("all/seed-4")).toEqual(await votes("four"));
  expect(await votes("all/seed-3")).not.toEqual(await votes("four"));
  const again = await run("--recipe", "cr", "--seeds", "3", "--seed", "3", "--folder", at("all"));
  expect(again.filter((line) => line.startsWith("finetune: done before"))).toHaveLength(2);
  expect(again.find((line) => line.startsWith("3 seeds, sigma 0.25"))).toContain("±");
  const compared = ["--compare", at("four"), "--compare", at("all")];
  await run("--recipe", "cr", "--seeds", "2", "--seed", "3", "--folder", at("all"), ...compared);
  await expect(run("--recipe", "cr", "--compare", at("none"))).rejects.toThrow(
    `--compare: ${at("none")} must be the folder of a run or of its --seeds, got one without recipe.json`,
  );
  const page = await readFile(at("all", "seeds.html"), "utf8");
  expect(page).toContain("four, 1 seed, sigma 0.25");
  expect(page).toContain("all, 3 seeds, sigma 0.25");
}, 60_000);

test("an ensemble trains its members with seeds of their own and certifies the sum of their logits", async () => {
  const lines = await run("--recipe", "boosting", "--folder", at("boosting"));
  expect(lines.filter((line) => /^finetune\/member-\d: \d+ micro-batches/.test(line))).toHaveLength(
    3,
  );
  const weights = await Promise.all(
    [0, 1, 2].map((i) => readFile(at("boosting", "finetune", `member-${i}`, "model.safetensors"))),
  );
  expect(weights[0]!.equals(weights[1]!)).toBe(false);
  expect(weights[1]!.equals(weights[2]!)).toBe(false);
  const log = at("boosting", "certify", "sigma-0.25.tsv");
  expect(await readLog(log)).toHaveLength(4);
  // Another consensus trains nothing; its answers do not go into the log of this one.
  const all = ["--recipe", "boosting", "--folder", at("boosting"), "--set", "ensemble.consensus=3"];
  await expect(run(...all)).rejects.toThrow("sigma-0.25.tsv");
  await rm(log);
  const again = await run(...all);
  expect(again.filter((line) => line.includes("done before"))).toHaveLength(3);
  expect(await readLog(log)).toHaveLength(4);
}, 60_000);

test.each([
  [
    "ensemble.members=1",
    "ensemble.consensus must be a whole number, from 1 to the 1 members, got 2",
  ],
  ["ensemble.members=0", "ensemble.members must be a whole number, 1 or more, got 0"],
  ["ensemble.consensus=1.5", "ensemble.consensus must be a whole number"],
  ['ensemble={"members":3}', "ensemble.consensus must be a whole number"],
  ['ensemble={"members":3,"consenus":2}', 'unknown ensemble field "consenus"'],
  ["certification.n=0", "certification.n must be a whole number, 1 or more, got 0"],
  ["alpha=1", "certification.alpha must be a number between 0 and 1, got 1"],
  ["certification.sigmas=[]", "certification.sigmas must be numbers above 0"],
  ["certification.sigmas=[0.5,0]", "certification.sigmas must be numbers above 0"],
  [
    "certification.sigmas=[0.25,0.251]",
    "that differ in their first two decimals, got [0.25,0.251]",
  ],
  ["certification.radii=[-1]", "certification.radii must be numbers, 0 or more, got [-1]"],
  ["evaluation.images=0.5", "evaluation.images must be a whole number, 1 or more, or null"],
  ["evaluation.votes=-1", "evaluation.votes must be a whole number, 0 or more, got -1"],
])("--set %s is refused before anything is trained", async (setting, message) => {
  for (const more of [["--dry-run"], []]) {
    const folder = at("never");
    const work = run("--recipe", "boosting", "--folder", folder, "--set", setting, ...more);
    await expect(work).rejects.toThrow(message);
    await expect(stat(folder)).rejects.toThrow();
  }
});

test("a plan is refused where its training would be", async () => {
  const attack = 'method={"name":"smoothAdv","copies":2,"epsilon":1,"steps":2,"warmupEpochs":1}';
  const plan = run("--recipe", "cr", "--dry-run", "--set", attack, "--set", "mixup=0.8");
  await expect(plan).rejects.toThrow(
    'robustFinetune: mixup and cutmix must be 0 with smoothAdv, got {"mixup":0.8,"cutmix":0}',
  );
});

test("--seeds must be a whole number", async () => {
  await expect(run("--recipe", "cr", "--seeds", "0")).rejects.toThrow(
    "--seeds: must be a whole number of at least 1, got 0",
  );
});
