import { DmaeError } from "@dmae/core";
import type { Outputs } from "../classifier/outputs.ts";
import type { Collector, Procedure } from "../run/procedure.ts";
import { fewestSamples, quantileRanks, type RankSettings } from "../statistics/order-statistics.ts";

/** The numbers of a regression certificate. */
export interface RegressionSettings {
  readonly sigma: number;
  readonly radius: number;
  readonly n: number;
  readonly alpha: number;
  readonly quantile: number;
  /** Distance between the distribution of one copy and the one of the guarantee; default 0. */
  readonly totalVariation?: number | undefined;
}

/** What `certifyRegression` found out about one input; outputs are in row-major order. */
export interface RegressionResult {
  /** The quantile of the outputs on the noisy copies: an estimate of the smoothed model's answer. */
  readonly value: readonly number[];
  /** Lower bounds on the smoothed model's outputs within the radius. */
  readonly lower: readonly number[];
  /** Upper bounds on the smoothed model's outputs within the radius. */
  readonly upper: readonly number[];
  /** Ranks, 1 the smallest of n, of the order statistics that the bounds are. */
  readonly ranks: { readonly lower: number; readonly upper: number };
  /** The radius asked for. */
  readonly radius: number;
  /** Shape of one answer. */
  readonly outputShape: readonly number[];
  /** Noisy samples drawn. */
  readonly samples: number;
}

/** Most numbers that are kept: 1 GiB. */
const MOST_NUMBERS = 2 ** 27;

/** Draws n copies and takes the order statistics of every output. */
export function* regressionProcedure(settings: RegressionSettings): Procedure<RegressionResult> {
  const { n, radius, quantile } = settings;
  checkReach(settings, 1); // before anything is drawn
  const outputs = new OutputColumns(settings);
  yield [{ stage: "estimation", first: 0, count: n, collector: outputs }];
  const { columns, shape } = outputs;
  for (const column of columns) column.sort();
  const ranks = quantileRanks(rankSettings(settings, columns.length));
  const at = (rank: number) => columns.map((column) => column[rank - 1]!);
  return {
    value: at(Math.max(1, Math.ceil(n * quantile))),
    lower: at(ranks.lower),
    upper: at(ranks.upper),
    ranks,
    radius,
    outputShape: shape,
    samples: n,
  };
}

/** Every bound of every output gets the same share of alpha. */
function rankSettings(settings: RegressionSettings, outputs: number): RankSettings {
  const { n, sigma, radius, alpha, quantile, totalVariation = 0 } = settings;
  const shift = (radius / sigma) * (1 + 2 ** -52);
  return { n, quantile, shift, alpha: (alpha / (2 * outputs)) * (1 - 2 ** -52), totalVariation };
}

/** Throws where not even the extremes of n samples are bounds. */
function checkReach(settings: RegressionSettings, outputs: number): void {
  const { n, radius, sigma, alpha } = settings;
  const needed = rankSettings(settings, outputs);
  const ranks = quantileRanks(needed);
  if (ranks.lower >= 1 && ranks.upper <= n) return;
  const fewest = fewestSamples(needed);
  const advice =
    fewest <= 1e12
      ? `it takes ${fewest}, or a larger sigma`
      : "no number that can be drawn is enough: take a smaller radius or a larger sigma";
  throw new DmaeError(
    "argument",
    `certifyRegression: ${n} samples are too few for bounds on ${outputs} output${outputs === 1 ? "" : "s"} at radius ${radius}, sigma ${sigma} and alpha ${alpha}; ${advice}`,
    { samples: n, fewest },
  );
}

/** The outputs of all samples, one array for each output. */
class OutputColumns implements Collector {
  columns: Float64Array[] = [];
  shape: readonly number[] = [];
  private count = 0;

  constructor(private readonly settings: RegressionSettings) {}

  add({ logits, numClasses: width, rowShape = [width] }: Outputs, from: number, to: number): void {
    if (this.count === 0) this.begin(width, rowShape);
    if (width !== this.columns.length)
      throw new DmaeError(
        "classifier",
        `the model returned ${width} numbers a row after ${this.columns.length}`,
      );
    for (let row = from; row < to; row++, this.count++)
      for (let i = 0; i < width; i++) this.columns[i]![this.count] = logits![row * width + i]!;
  }

  private begin(width: number, shape: readonly number[]): void {
    const { n } = this.settings;
    if (width * n > MOST_NUMBERS)
      throw new DmaeError(
        "argument",
        `certifyRegression: n times the outputs must be at most ${MOST_NUMBERS}, got ${n} x ${width}; lower n, or return fewer outputs`,
      );
    checkReach(this.settings, width);
    this.columns = Array.from({ length: width }, () => new Float64Array(n));
    this.shape = shape;
  }
}
