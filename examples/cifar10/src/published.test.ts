import { expect, it } from "vitest";
import paper from "../../../testing/paper-tables.json" with { type: "json" };
import published from "../../../testing/published-logs.json" with { type: "json" };
import { recipes } from "./recipes.ts";

// Every number of the paper's CIFAR-10 tables against a transcription of its own, and of logs against counts in them.

const methods: Readonly<Record<string, string>> = {
  "resnet110-cifar10-rs": "RS",
  "resnet110-cifar10-smoothadv": "SmoothAdv",
  "resnet110-cifar10-consistency": "Consistency",
  "resnet110-cifar10-macer": "MACER",
  "resnet110-cifar10-boosting": "Boosting",
  "resnet110-cifar10-smoothmix": "SmoothMix",
  "dmae-vit-b-cifar10-cr": "DMAE ViT-B",
  "dmae-vit-b-cifar10-continued-cr": "DMAE ViT-B + continued pre-training",
};

const percentOf = (radii: readonly number[], values: readonly number[]) =>
  Object.fromEntries(radii.map((radius, i) => [radius.toFixed(2), values[i]!]));

function table3(base: string) {
  const row = paper.table3.rows.find(({ method }) => method === methods[base]);
  if (!row) return [];
  const percent = percentOf(paper.table3.radii, row.values);
  return [{ percent, sigma: null, source: "Table 3" }];
}

/** The rows of Table 10 of the model that was fine-tuned at `level`. */
function table10(level: number | readonly number[]) {
  return paper.table10.rows
    .filter(({ finetune }) => JSON.stringify(finetune) === JSON.stringify(level))
    .map(({ evaluate, values }) => ({
      percent: percentOf(paper.table10.radii, values),
      sigma: evaluate,
      source: "Table 10: n = 10,000, 1,000 images",
    }));
}

/** The row of the log of a method that the paper leaves out. */
function logRow(base: string, level: string) {
  const folder = { "resnet110-cifar10-stability": "stab", "resnet110-cifar10-catrs": "cat-rs" }[
    base
  ];
  if (!folder) return [];
  const sigma = level === "0.25" ? "0.25" : Number(level).toFixed(1);
  const log = `data/cifar10/noise_${sigma}/${folder}/noise_${sigma}.tsv`;
  const { images, certified } = published.logs[log as keyof typeof published.logs];
  const percent = percentOf(
    published.radii,
    certified.map((count) => (100 * count) / images),
  );
  const source = `log of alinlab/smoothing-catrs: ${folder}, all 10,000 images, n = 100,000`;
  return [{ percent, sigma: Number(level), source }];
}

it.each(Object.values(recipes).filter((recipe) => "published" in recipe))(
  "$name has the published numbers",
  ({ name, published }) => {
    const [, base, level] = /^(.*?)-(\d\.\d\d|0-0\.75)$/.exec(name)!;
    const isContinued = base === "dmae-vit-b-cifar10-continued-cr";
    if (level === "0-0.75") return expect(published).toEqual(table10([0, 0.75]));
    expect(published).toEqual([
      ...table3(base!),
      ...(isContinued ? table10(Number(level)) : []),
      ...logRow(base!, level!),
    ]);
  },
);

it("Table 10 is certified as the paper does it", () => {
  const { certification, dataset } = recipes["dmae-vit-b-cifar10-continued-cr-0-0.75"] as never as {
    certification: object;
    dataset: string;
  };
  expect(dataset).toBe("cifar10");
  expect(certification).toMatchObject({ sigmas: [0.25, 0.5], n: 10_000, every: 10 });
  expect(paper.protocol.table10).toEqual({ n: 10_000, images: 1000 });
});

it("every method of Table 3 that trains a ResNet-110 or a ViT has a recipe", () => {
  const all = paper.table3.rows.map(({ method }) => method);
  expect(all.filter((method) => !Object.values(methods).includes(method))).toEqual(["Diffusion"]);
  for (const base of Object.keys(methods))
    for (const sigma of ["0.25", "0.50", "1.00"])
      expect(recipes).toHaveProperty([`${base}-${sigma}`]);
});
