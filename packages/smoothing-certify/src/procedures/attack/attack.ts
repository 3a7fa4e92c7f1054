import { DmaeError, type FloatArray } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkInteger, checkNumbers, checkOneOf, refuseOthers, show } from "../../checks.ts";
import { type Classifier, prepareClassifier, traitsOf } from "../../classifier/classifier.ts";
import { type ImageInput, readImage } from "../../classifier/image.ts";
import { checkPreprocessings, type Range, UNIT_RANGE } from "../../classifier/range.ts";
import { formatSeed, freshSeed, type Seed } from "../../noise/fresh-seed.ts";
import { checkSampling } from "../../run/options.ts";
import { type SingleOptions, singleNames } from "../../run/run-one.ts";
import { ABSTAIN } from "../../statistics/radius.ts";
import { predict } from "../predict.ts";
import { type AttackNorm, distance, moved, steepest } from "./perturbation.ts";
import { type SmoothedGradient, slopeAt, type VoteSettings } from "./smoothed-votes.ts";

/** How an attack searches, alone or in a run over a data set. */
export interface AttackSettings {
  /** Largest perturbation that is tried; default 4 sigma in l2, and sigma in linf. */
  readonly radius?: number | undefined;
  /** Gradient of a loss of the smoothed classifier; without it the votes alone are used. */
  readonly gradient?: SmoothedGradient | undefined;
  /** Steps of each descent; default 10. */
  readonly steps?: number | undefined;
  /** Descents, each to a smaller radius than the one before reached; default 4. */
  readonly rounds?: number | undefined;
  /** Noisy copies of a point in the search; default 256. */
  readonly samples?: number | undefined;
  /** Noisy copies with which PREDICT verifies; default 10,000. */
  readonly n?: number | undefined;
  /** Allowed probability that a success is none; default 0.001. */
  readonly alpha?: number | undefined;
}

/** Options of {@link attack}. */
export interface AttackOptions extends Omit<SingleOptions, "noise" | "sound">, AttackSettings {
  /** Norm in which the perturbation is measured; default `"l2"`. */
  readonly norm?: AttackNorm | undefined;
}

/** What {@link attack} found. */
export interface AttackResult {
  /** Whether a perturbation was found and verified. */
  readonly success: boolean;
  /** Class of the smoothed classifier at x; `ABSTAIN` (-1) where PREDICT cannot tell, and nothing is attacked. */
  readonly prediction: number;
  /** Class at the point that was found; `ABSTAIN` where none was. */
  readonly adversarial: number;
  /** Norm of the perturbation after rounding to float32, rounded up: above the true radius. `Infinity` for none. */
  readonly radius: number;
  /** The point that was found. */
  readonly point?: Float32Array;
  /** Noisy samples drawn in all. */
  readonly drawn: number;
  /** Seed of the search and of PREDICT's noise; streams of their own, apart from those of `certify`. */
  readonly seed: Seed;
}

/** The names of {@link AttackSettings}. */
export const attackNames = {
  radius: true,
  gradient: true,
  steps: true,
  rounds: true,
  samples: true,
  n: true,
  alpha: true,
} satisfies OptionNames<AttackSettings>;

const { noise: _, sound: __, ...inputNames } = singleNames;
const names = {
  ...inputNames,
  ...attackNames,
  norm: true,
} satisfies OptionNames<AttackOptions>;

/** Factors by which the point is moved on until PREDICT is sure. */
const MARGINS = [1, 1.05, 1.1, 1.2, 1.4, 1.7, 2.2, 3];

/**
 * Looks for a small perturbation that changes the class of the smoothed classifier: an upper bound on its true
 * radius, to be read beside the lower one of {@link certify}.
 *
 * Projected descent (SmoothAdv; Salman et al. 2019, arXiv:1906.04584) along `gradient` or, without one, along the slope
 * of the votes themselves, which needs nothing but classes. A point counts only after PREDICT with fresh
 * noise says another class there; with probability at least 1 - alpha over the noise no success is false.
 * The point lies within `range`, and its distance is measured after it was rounded to float32. No success
 * says nothing about the true radius.
 *
 * @throws {DmaeError} "argument" for options out of range, "classifier" for a gradient of another size
 * @example
 * const { radius: lower } = await certify(classify, image, { sigma: 0.25 });
 * const { radius: upper } = await attack(classify, image, { sigma: 0.25 });
 */
export async function attack(
  classifier: Classifier,
  x: ImageInput,
  options: AttackOptions,
): Promise<AttackResult> {
  checkAttack(options);
  const {
    sigma,
    norm = "l2",
    n = 10_000,
    alpha = 0.001,
    range = UNIT_RANGE,
    samples = 256,
  } = options;
  const { shape, gradient, index = 0, seed = freshSeed() } = options;
  const { imageShape } = traitsOf(classifier);
  const image = await readImage("attack", x, { shape, imageShape, range });
  const prepared = await prepareClassifier("attack", classifier, options, image.tensor);
  checkPreprocessings("attack", prepared.traits.preprocessing, range);
  const streams = `attack ${formatSeed(seed)}`;
  const search = { classifier: prepared, shape: image.shape, sigma, samples };
  const found = new Search({ ...search, gradient, index, seed: streams }, image.data, norm, range);
  let looks = 0;
  const level = alpha / (1 + MARGINS.length); // one look at x, one at each margin
  const classAt = async (point: FloatArray) => {
    // as the image came, where neither the caller nor the classifier says
    const isTensor = image.tensor && !options.input && !prepared.traits.input;
    const asked = {
      ...sampling(options),
      ...(isTensor && { input: "tensor" as const }),
      seed: `${streams} ${looks++}`,
      n,
      alpha: level,
    };
    found.drawn += n;
    return (await predict(classifier, { data: point, shape: image.shape }, asked)).prediction;
  };
  const prediction = await classAt(image.data);
  const none = {
    seed,
    success: false,
    prediction,
    adversarial: ABSTAIN,
    radius: Number.POSITIVE_INFINITY,
  };
  if (prediction === ABSTAIN) return { ...none, drawn: found.drawn };
  const change = await found.smallest(prediction, options);
  for (const margin of change ? MARGINS : []) {
    const further = change!.map((v) => v * margin);
    const point = moved(image.data, further, largestOf(options), norm, range);
    const adversarial = await classAt(point);
    if (adversarial === ABSTAIN || adversarial === prediction) continue;
    const radius = distance(image.data, point, norm);
    return { success: true, prediction, adversarial, radius, point, drawn: found.drawn, seed };
  }
  return { ...none, drawn: found.drawn };
}

/** The search for the smallest perturbation that takes the majority of the votes away. */
class Search {
  drawn = 0;

  constructor(
    private readonly votes: VoteSettings,
    private readonly x: FloatArray,
    private readonly norm: AttackNorm,
    private readonly range: Range,
  ) {}

  /** Descends to ever smaller radii, from x each time. */
  async smallest(label: number, options: AttackOptions): Promise<Float64Array | undefined> {
    const { steps = 10, rounds = 4, signal } = options;
    let radius = largestOf(options);
    let best: Float64Array | undefined;
    for (let round = 0; round < rounds; round++) {
      const change = await this.descend(label, radius, steps, signal);
      if (!change) break;
      best = await this.shortened(change, label);
      radius = 0.95 * distance(this.x, this.at(best), this.norm);
    }
    return best;
  }

  private async descend(
    label: number,
    radius: number,
    steps: number,
    signal: AbortSignal | undefined,
  ): Promise<Float64Array | undefined> {
    let point: FloatArray = Float32Array.from(this.x);
    for (let step = 0; step <= steps; step++) {
      signal?.throwIfAborted();
      const { share, ascent } = await this.slope(point, label);
      if (share < 0.5) return this.changeTo(point);
      const direction = steepest(ascent, this.norm);
      const length = (2 * radius) / steps;
      const change = this.changeTo(point).map((v, i) => v + length * direction[i]!);
      point = moved(this.x, change, radius, this.norm, this.range);
    }
    return undefined;
  }

  /** Halves the interval between x and the point, where the votes change hands. */
  private async shortened(change: Float64Array, label: number): Promise<Float64Array> {
    let [low, high] = [0, 1];
    for (let step = 0; step < 6; step++) {
      const middle = (low + high) / 2;
      const { share } = await this.slope(this.at(change.map((v) => v * middle)), label);
      if (share < 0.5) high = middle;
      else low = middle;
    }
    return change.map((v) => v * high);
  }

  private slope(point: FloatArray, label: number) {
    this.drawn += this.votes.samples;
    return slopeAt(this.votes, point, label);
  }

  private at(change: Float64Array): Float32Array {
    return moved(this.x, change, Number.MAX_VALUE, this.norm, this.range);
  }

  private changeTo(point: FloatArray): Float64Array {
    return Float64Array.from(point, (value, i) => value - this.x[i]!);
  }
}

/** The largest perturbation that is tried. */
const largestOf = ({
  norm = "l2",
  sigma,
  radius = norm === "l2" ? 4 * sigma : sigma,
}: AttackOptions) => radius;

/** The options that PREDICT takes too. */
function sampling(options: AttackOptions) {
  const { norm, radius, gradient, steps, rounds, samples, shape, seed, ...shared } = options;
  return shared;
}

function checkAttack(options: AttackOptions): void {
  checkOptions("attack", options, names);
  checkSampling("attack", options);
  if (options.index !== undefined) checkInteger("attack", "index", options.index, 0);
  checkSearch("attack", options);
}

/** Checks the options that are the attack's own. */
export function checkSearch(caller: string, options: Omit<AttackOptions, "sigma">): void {
  const { norm = "l2", radius, gradient, steps, rounds, samples, n, alpha } = options;
  checkOneOf(caller, "norm", norm, ["l2", "linf"]);
  const numbers = { radius, steps, rounds, samples, n, alpha };
  checkNumbers(
    caller,
    Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)),
  );
  if (gradient !== undefined && typeof gradient !== "function")
    throw new DmaeError(
      "argument",
      `${caller}: gradient must be a function of (batch, shape, label), got ${show(gradient)}`,
    );
  refuseOthers(caller, options, { distribution: "gaussian" });
}
