import type { PublishedAccuracy } from "@dmae/reproduce";

// The ImageNet tables of arXiv:2210.06983, by the recipe that a row belongs to (without its sigma). 0 is printed as 0.
// For CAT-RS, which they leave out, what its published certification log gives.

type Row = readonly number[];

const radii = ["0.00", "0.50", "1.00", "1.50", "2.00", "3.00"] as const;
const percentOf = (row: Row, of: readonly string[] = radii) =>
  Object.fromEntries(of.map((radius, i) => [radius, row[i]!]));

/** Rows at sigma 0.25, 0.50 and 1.00; null where the paper prints a dash. */
const tables: Readonly<Record<string, Readonly<Record<string, readonly (Row | null)[]>>>> = {
  "Table 2": {
    "dmae-vit-b-imagenet-cr": [
      [78.1, 69.6, 0, 0, 0, 0],
      [73, 64.8, 57.9, 47.8, 0, 0],
      [58, 53.3, 47.1, 41.7, 35.4, 22.5],
    ],
    "dmae-vit-l-imagenet-cr": [
      [81.7, 73.6, 0, 0, 0, 0],
      [77.6, 72.4, 64.6, 53.7, 0, 0],
      [65.7, 59, 53, 47.9, 41.5, 27.5],
    ],
    "resnet50-imagenet-rs": [
      [67, 49, 0, 0, 0, 0],
      [57, 46, 37, 29, 0, 0],
      [44, 38, 33, 26, 19, 12],
    ],
    "resnet50-imagenet-smoothadv": [
      [63, 54, 0, 0, 0, 0],
      [54, 49, 43, 37, 0, 0],
      [40, 37, 34, 30, 27, 20],
    ],
    "resnet50-imagenet-consistency": [null, [55, 50, 44, 34, 0, 0], [41, 37, 32, 28, 24, 17]],
    "resnet50-imagenet-macer": [
      [68, 57, 0, 0, 0, 0],
      [64, 53, 43, 31, 0, 0],
      [48, 43, 36, 30, 25, 14],
    ],
    "resnet50-imagenet-boosting": [
      [65.6, 57, 0, 0, 0, 0],
      [57, 52, 44.6, 38.4, 0, 0],
      [44.6, 40.2, 37.2, 34, 28.6, 20.2],
    ],
    "resnet50-imagenet-smoothmix": [null, [55, 50, 43, 38, 0, 0], [40, 37, 34, 30, 26, 20]],
  },
  "Table 4": {
    "dmae-vit-b-imagenet-probe": [
      [58.7, 45.3, 0, 0, 0, 0],
      [26.4, 16.7, 10.6, 5.1, 0, 0],
      [7.6, 5.4, 3.5, 2.4, 1.6, 0.4],
    ],
    "mae-vit-b-imagenet-probe": [
      [32.5, 13.3, 0, 0, 0, 0],
      [13.3, 6.9, 2.6, 0.1, 0, 0],
      [3, 2.2, 1.2, 0.5, 0.4, 0],
    ],
  },
  "Table 5": {
    "dmae-vit-b-700-imagenet-cr": [
      [78.8, 68.8, 0, 0, 0, 0],
      [72, 64.4, 55.5, 45.3, 0, 0],
      [56.4, 50.7, 46.2, 40.4, 34.9, 23.3],
    ],
  },
  "Table 6": {
    "dmae-vit-l-imagenet-rs": [
      [81.8, 72.6, 0, 0, 0, 0],
      [76.4, 69.5, 59.3, 45.8, 0, 0],
      [63.2, 57, 49.8, 42.9, 35.9, 21.8],
    ],
  },
  "Table 9": {
    "mae-vit-b-imagenet-rs": [null, [72.2, 61.8, 51.5, 37.7, 0, 0], null],
    "dmae-vit-b-imagenet-rs": [null, [72.6, 63, 53.2, 39.7, 0, 0], null],
    "mae-vit-b-imagenet-cr": [null, [72, 64.1, 55.9, 46.2, 0, 0], null],
  },
  "log of alinlab/smoothing-catrs: data/imagenet, every 100th image, n = 100,000": {
    "resnet50-imagenet-catrs": [null, null, [43.6, 38.2, 35.2, 30.8, 26.8, 20.2]],
  },
};

/** Table 1: the best over the noise levels at radius 0.5 to 3. */
const best: Readonly<Record<string, Row>> = {
  "dmae-vit-b-imagenet-cr": [69.6, 57.9, 47.8, 35.4, 22.5],
  "dmae-vit-l-imagenet-cr": [73.6, 64.6, 53.7, 41.5, 27.5],
  "resnet50-imagenet-rs": [49, 37, 29, 19, 12],
  "resnet50-imagenet-smoothadv": [54, 43, 37, 27, 20],
  "resnet50-imagenet-consistency": [50, 44, 34, 24, 17],
  "resnet50-imagenet-macer": [57, 43, 31, 25, 14],
  "resnet50-imagenet-boosting": [57, 44.6, 38.4, 28.6, 20.2],
  "resnet50-imagenet-smoothmix": [50, 43, 38, 26, 17],
};

/** What is published for a recipe: its row at `sigma`, and its row of Table 1. */
export function publishedFor(
  recipe: string,
  sigma: "0.25" | "0.50" | "1.00",
): readonly PublishedAccuracy[] {
  const level = ["0.25", "0.50", "1.00"].indexOf(sigma);
  const rows: PublishedAccuracy[] = Object.entries(tables).flatMap(([source, table]) => {
    const row = table[recipe]?.[level];
    return row ? [{ percent: percentOf(row), sigma: Number(sigma), source }] : [];
  });
  const overall = best[recipe];
  if (overall)
    rows.push({ percent: percentOf(overall, radii.slice(1)), sigma: null, source: "Table 1" });
  return rows;
}
