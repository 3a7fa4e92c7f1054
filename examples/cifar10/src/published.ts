import type { PublishedAccuracy } from "@dmae/reproduce";

// The CIFAR-10 tables of arXiv:2210.06983, by the recipe that a row belongs to (without its sigma). 0 is printed as 0.
// For methods that it leaves out, what their published certification logs give.

const radii = ["0.00", "0.25", "0.50", "0.75", "1.00"] as const;
const percentOf = (row: readonly number[], of: readonly string[] = radii) =>
  Object.fromEntries(of.map((radius, i) => [radius, row[i]!]));

/** Table 3: the best over the noise levels at radius 0.25 to 1. */
const table3: Readonly<Record<string, readonly number[]>> = {
  "dmae-vit-b-cifar10-cr": [79.2, 64.6, 47.3, 36.1],
  "dmae-vit-b-cifar10-continued-cr": [80.8, 67.1, 49.7, 37.7],
  "resnet110-cifar10-rs": [61, 43, 32, 23],
  "resnet110-cifar10-smoothadv": [74.8, 60.8, 47, 37.8],
  "resnet110-cifar10-consistency": [68.8, 58.1, 48.5, 37.8],
  "resnet110-cifar10-macer": [71, 59, 46, 38],
  "resnet110-cifar10-boosting": [70.6, 60.4, 52.4, 38.8],
  "resnet110-cifar10-smoothmix": [67.9, 57.9, 47.7, 37.2],
};

/** Table 10: n = 10,000, every tenth image. */
const at10 = (sigma: number, row: readonly number[]): PublishedAccuracy => ({
  percent: percentOf(row),
  sigma,
  source: "Table 10: n = 10,000, 1,000 images",
});

/** Table 10 by the noise that the model was fine-tuned with. */
export const table10: Readonly<
  Record<"0.25" | "0.50" | "oneForAll", readonly PublishedAccuracy[]>
> = {
  "0.25": [at10(0.25, [90.4, 81.2, 65.3, 44.2, 0]), at10(0.5, [44.5, 35.4, 26.8, 18.8, 11.3])],
  "0.50": [at10(0.25, [72.2, 65.2, 54.1, 41.6, 0]), at10(0.5, [74.5, 66.5, 57.3, 46.3, 34.7])],
  oneForAll: [at10(0.25, [90.2, 80.9, 66.1, 45.2, 0]), at10(0.5, [75.6, 67.4, 58.5, 45.7, 35.5])],
};

const logRadii = [...radii, "1.25", "1.50", "2.00", "3.00"];

/** Logs of alinlab/smoothing-catrs, `data/cifar10/noise_*`, at sigma 0.25, 0.50 and 1.00. */
const logs: Readonly<Record<string, { readonly folder: string; readonly rows: number[][] }>> = {
  "resnet110-cifar10-stability": {
    folder: "stab",
    rows: [
      [73.05, 58.91, 42.93, 26.77, 0, 0, 0, 0, 0],
      [62.1, 52.6, 42.73, 33.26, 23.83, 16.06, 9.76, 0, 0],
      [42.97, 37.76, 32.47, 27.53, 23.09, 18.75, 14.74, 7.71, 1.12],
    ],
  },
  "resnet110-cifar10-catrs": {
    folder: "cat-rs",
    rows: [
      [76.3, 68.13, 58.79, 48.21, 0, 0, 0, 0, 0],
      [62.29, 56.79, 50.51, 44.59, 38.51, 32.7, 27.1, 0, 0],
      [43.17, 40.21, 37.25, 34.29, 30.99, 28.13, 24.93, 19.3, 9.76],
    ],
  },
};

/** The row of a method's published log; none for most. */
function logRows(recipe: string, sigma: "0.25" | "0.50" | "1.00"): readonly PublishedAccuracy[] {
  const log = logs[recipe];
  if (!log) return [];
  const row = log.rows[["0.25", "0.50", "1.00"].indexOf(sigma)]!;
  const source = `log of alinlab/smoothing-catrs: ${log.folder}, all 10,000 images, n = 100,000`;
  return [{ percent: percentOf(row, logRadii), sigma: Number(sigma), source }];
}

/** What is published for a recipe: its row of Table 3 and its rows of Table 10, or that of a log. */
export function publishedFor(
  recipe: string,
  sigma: "0.25" | "0.50" | "1.00",
): readonly PublishedAccuracy[] {
  const row = table3[recipe];
  if (!row) return logRows(recipe, sigma);
  const best = { percent: percentOf(row, radii.slice(1)), sigma: null, source: "Table 3" };
  const isInTable10 = recipe === "dmae-vit-b-cifar10-continued-cr" && sigma !== "1.00";
  return [best, ...(isInTable10 ? table10[sigma] : [])];
}
