/** A published per-image certification log, every tenth test image. */
export interface PublishedLog {
  /** The method as its paper is cited. */
  readonly method: string;
  /** Standard deviation of the noise, in images in [0, 1]. */
  readonly sigma: number;
  /** Gzipped TSV with the columns idx, label, predict, radius, correct; the column time is left at zero. */
  readonly url: URL;
}

/** How the published logs were made, and by whom: options for `compare` of `@dmae/smoothing-certify`. */
export const publishedSettings = {
  n0: 100,
  n: 100_000,
  alpha: 0.001,
  source: "alinlab/smoothing-catrs, commit d4bc576e7d, data/fmnist",
  license: "MIT, Copyright (c) 2020 Jongheon Jeong",
} as const;

const methods = {
  cohen: "Gaussian (Cohen et al. 2019)",
  stab: "Stability (Li et al. 2019)",
  salman: "SmoothAdv (Salman et al. 2019)",
  macer: "MACER (Zhai et al. 2020)",
  consistency: "Consistency (Jeong & Shin 2020)",
  smoothmix: "SmoothMix (Jeong et al. 2021)",
  "cat-rs": "CAT-RS (Jeong et al. 2023)",
};

/** LeNets trained by seven methods and certified at three noise levels: the rows to compare a classifier with. */
export const publishedLogs: readonly PublishedLog[] = [0.25, 0.5, 1].flatMap((sigma) =>
  Object.entries(methods).map(([file, method]) => ({
    method,
    sigma,
    url: new URL(`../data/published/${file}-${sigma.toFixed(2)}.tsv.gz`, import.meta.url),
  })),
);
