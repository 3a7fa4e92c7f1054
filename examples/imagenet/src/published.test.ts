import { expect, it } from "vitest";
import paper from "../../../testing/paper-tables.json" with { type: "json" };
import logs from "../../../testing/published-logs.json" with { type: "json" };
import { recipes } from "./recipes.ts";

// Every number of the paper's ImageNet tables against a transcription of its own, and the other way round; of CAT-RS's log
// against counts in it.

type Facts = readonly [table: string, values: readonly number[]];

const sigmaKeys: Readonly<Record<string, "0.25" | "0.5" | "1.0">> = {
  "0.25": "0.25",
  "0.50": "0.5",
  "1.00": "1.0",
};
const rivals: Readonly<Record<string, string>> = {
  "resnet50-imagenet-rs": "RS",
  "resnet50-imagenet-smoothadv": "SmoothAdv",
  "resnet50-imagenet-consistency": "Consistency",
  "resnet50-imagenet-macer": "MACER",
  "resnet50-imagenet-boosting": "Boosting",
  "resnet50-imagenet-smoothmix": "SmoothMix",
  "dmae-vit-b-imagenet-cr": "DMAE ViT-B",
  "dmae-vit-l-imagenet-cr": "DMAE ViT-L",
};
const table9: Readonly<Record<string, readonly number[]>> = {
  "mae-vit-b-imagenet-rs": paper.table9.rows["MAE-B+RS"],
  "dmae-vit-b-imagenet-rs": paper.table9.rows["DMAE-B+RS"],
  "mae-vit-b-imagenet-cr": paper.table9.rows["MAE-B+CR"],
};

/** The row at a sigma that the paper has for a recipe. */
function rowOf(name: string, level: string): Facts | undefined {
  const sigma = sigmaKeys[level]!;
  const row2 = (paper.table2.sigma[sigma] as Record<string, number[] | null>)[rivals[name] ?? ""];
  if (row2) return ["Table 2", row2];
  if (name === "dmae-vit-b-imagenet-probe") return ["Table 4", paper.table4.sigma[sigma].DMAE];
  if (name === "mae-vit-b-imagenet-probe") return ["Table 4", paper.table4.sigma[sigma].MAE];
  if (name === "dmae-vit-b-700-imagenet-cr") return ["Table 5", paper.table5.sigma[sigma]["700"]];
  if (name === "dmae-vit-l-imagenet-rs") return ["Table 6", paper.table6.sigma[sigma].RS];
  if (level === "0.50" && table9[name]) return ["Table 9", table9[name]];
  if (name === "resnet50-imagenet-catrs") return catRsLog();
  return undefined;
}

function catRsLog(): Facts {
  const { images, certified } = logs.logs["data/imagenet/noise_1.0.tsv"];
  expect(images).toBe(500);
  const at = paper.table2.radii.map((radius) => certified[logs.radii.indexOf(radius)]!);
  return [
    "log of alinlab/smoothing-catrs: data/imagenet, every 100th image, n = 100,000",
    at.map((count) => (100 * count) / images),
  ];
}

const percentOf = (radii: readonly number[], values: readonly number[]) =>
  Object.fromEntries(radii.map((radius, i) => [radius.toFixed(2), values[i]!]));

it.each(Object.values(recipes).filter((recipe) => "published" in recipe))(
  "$name has the published numbers",
  ({ name, published }) => {
    const [, base, level] = /^(.*)-(\d\.\d\d)$/.exec(name)!;
    const row = rowOf(base!, level!);
    const overall = paper.table1.rows.find(({ method }) => method === rivals[base!])?.values;
    expect(published).toEqual([
      ...(row
        ? [
            {
              percent: percentOf(paper.table2.radii, row[1]),
              sigma: Number(level),
              source: row[0],
            },
          ]
        : []),
      ...(overall
        ? [{ percent: percentOf(paper.table1.radii, overall), sigma: null, source: "Table 1" }]
        : []),
    ]);
  },
);

it("the rows of the tables that repeat others are these others", () => {
  for (const sigma of ["0.25", "0.5", "1.0"] as const) {
    expect(paper.table6.sigma[sigma].CR).toEqual(paper.table2.sigma[sigma]["DMAE ViT-L"]);
    expect(paper.table5.sigma[sigma]["1100"]).toEqual(paper.table2.sigma[sigma]["DMAE ViT-B"]);
  }
  expect(paper.table9.rows["DMAE-B+CR"]).toEqual(paper.table2.sigma["0.5"]["DMAE ViT-B"]);
});

it("73.6 belongs to consistency regularisation", () => {
  const holders = Object.values(recipes).filter((recipe) =>
    JSON.stringify("published" in recipe ? recipe.published : []).includes("73.6"),
  );
  const names = holders.map(({ name }) => name).sort();
  expect(names).toEqual(["0.25", "0.50", "1.00"].map((sigma) => `dmae-vit-l-imagenet-cr-${sigma}`));
});

it("every method of Table 1 that trains a ResNet-50 or a ViT has a recipe", () => {
  const methods = paper.table1.rows.map(({ method }) => method);
  expect(methods.filter((method) => !Object.values(rivals).includes(method))).toEqual([
    "Diffusion+BEiT",
  ]);
  for (const base of Object.keys(rivals))
    for (const sigma of Object.keys(sigmaKeys))
      expect(recipes).toHaveProperty([`${base}-${sigma}`]);
});
