import { DmaeError, type ImageDataset, key } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { generator } from "@dmae/core/random";
import { checkAlpha, checkInteger, checkPositive, checkProbability, show } from "../checks.ts";
import {
  type Classifier,
  type ClassifierOptions,
  classifierNames,
} from "../classifier/classifier.ts";
import type { Range } from "../classifier/range.ts";
import { formatSeed, freshSeed, type Seed } from "../noise/fresh-seed.ts";
import { selectIndices } from "../run/dataset-selection.ts";
import { binomialExceeds } from "../statistics/binomial-quantile.ts";
import { normalCdf } from "../statistics/normal.ts";
import { defaultPatience, SequentialTest, votesNeeded } from "../statistics/sequential-test.ts";
import { certifyDataset } from "./certify-dataset.ts";

/** What a run is to reach. */
export interface PlanGoal {
  /** The l2 radius at which certified accuracy counts. */
  readonly radius: number;
  /** Certified accuracy in [0, 1] to be reached as cheaply as possible. */
  readonly accuracy?: number | undefined;
  /** Mean samples an image that may be spent, for as much accuracy as possible. */
  readonly samples?: number | undefined;
}

/** Options of {@link plan}. */
export interface PlanOptions extends ClassifierOptions {
  readonly goal: PlanGoal;
  /** Standard deviations of the noise to choose from. */
  readonly sigmas: readonly number[];
  /** Sample sizes to choose from; default 1,000, 10,000 and 100,000. */
  readonly sizes?: readonly number[] | undefined;
  /** Images of the pilot, spread over the data set; default 50. */
  readonly images?: number | undefined;
  /** Noisy samples of each for each sigma; default 200. */
  readonly pilot?: number | undefined;
  /** Allowed probability of a wrong certificate in the run; default 0.001. */
  readonly alpha?: number | undefined;
  /** Seed of the pilot's noise, which is never that of a run with the same seed; default a fresh one. */
  readonly seed?: Seed | undefined;
  /** Interval in which the pixels lie; default `[0, 1]`. */
  readonly range?: Range | undefined;
  /** Stops the pilot between two batches. */
  readonly signal?: AbortSignal | undefined;
}

/** One way to run, with what the pilot expects of it. */
export interface PlannedRun {
  readonly procedure: "certify" | "certifyAtRadius";
  readonly sigma: number;
  /** `n` of certify, or `maxSamples` of certifyAtRadius. */
  readonly n: number;
  /** Expected certified accuracy at the radius of the goal. */
  readonly accuracy: number;
  /** Expected samples of an image, selection included. */
  readonly samples: number;
}

/** What {@link plan} recommends. */
export interface Plan {
  /** The run to choose; undefined where none reaches the goal. */
  readonly recommended?: PlannedRun;
  /** All runs that were compared, the cheapest first. */
  readonly runs: readonly PlannedRun[];
  /** Images that the pilot has not seen: give them to the run as `indices`. */
  readonly indices: readonly number[];
  /** Noisy samples that the pilot drew. */
  readonly drawn: number;
  /** Seed of the pilot: give it back to repeat it. */
  readonly seed: Seed;
}

const names = {
  ...classifierNames,
  goal: { radius: true, accuracy: true, samples: true },
  sigmas: true,
  sizes: true,
  images: true,
  pilot: true,
  alpha: true,
  seed: "seed",
  range: true,
  signal: "signal",
} satisfies OptionNames<PlanOptions>;

const N0 = 100;

/**
 * Recommends sigma, n and procedure for a goal from a pilot, before hours are spent: the cheapest run that is expected
 * to reach `goal.accuracy`, or the most accurate within `goal.samples` an image, or, with neither, the cheapest
 * within half a point of the most accurate.
 *
 * The pilot draws a few samples of a few images, and expects of each image what follows from its share of votes
 * p for the label: certify succeeds with probability `P(Binomial(n, p) >= k)`, where k votes suffice; the
 * samples of certifyAtRadius are simulated. These are estimates, with the error of so few images: no
 * guarantee depends on them. So that the choice cannot bias the run, its noise is never that of the pilot, and
 * `indices` leaves the pilot's images out.
 *
 * @param dataset images and labels; the pilot takes `images` of them
 * @throws {DmaeError} "argument" for options out of range
 * @example
 * const { recommended, indices } = await plan(classify, test, { goal: { radius: 0.5 }, sigmas: [0.25, 0.5] });
 */
export async function plan(
  classifier: Classifier,
  dataset: ImageDataset,
  options: PlanOptions,
): Promise<Plan> {
  checkPlan(options);
  const { goal, sigmas, sizes = [1000, 10_000, 100_000], images = 50, pilot = 200 } = options;
  const { alpha = 0.001, seed = freshSeed(), input, numClasses, range, signal } = options;
  const all = selectIndices("plan", dataset, {});
  const count = Math.min(images, all.length);
  const seen = Array.from({ length: count }, (_, i) => Math.floor((i * all.length) / count));
  const asked = { n0: 1, n: pilot, indices: seen, input, numClasses, range, signal };
  const runs: PlannedRun[] = [];
  for (const sigma of sigmas) {
    const shares: number[] = [];
    for await (const { counts = [], label } of certifyDataset(classifier, dataset, {
      ...asked,
      sigma,
      seed: `plan ${formatSeed(seed)} ${sigma}`,
    }))
      shares.push((counts[label]! + 0.5) / (pilot + 1));
    for (const n of sizes) runs.push(...expected({ sigma, n, alpha, radius: goal.radius }, shares));
  }
  runs.sort((a, b) => a.samples - b.samples || b.accuracy - a.accuracy);
  const recommended = choose(runs, goal);
  const taken = new Set(seen);
  return {
    ...(recommended && { recommended }),
    runs,
    indices: all.filter((index) => !taken.has(index)),
    drawn: sigmas.length * count * (pilot + 1),
    seed,
  };
}

interface Candidate {
  readonly sigma: number;
  readonly n: number;
  readonly alpha: number;
  readonly radius: number;
}

/** Both procedures at one sigma and n; none where not even unanimous votes reach the radius. */
function expected({ sigma, n, alpha, radius }: Candidate, shares: readonly number[]): PlannedRun[] {
  const threshold = normalCdf(radius / sigma);
  const runs: PlannedRun[] = [];
  const needed = threshold < 1 ? votesNeeded(n, threshold, alpha) : n + 1;
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  if (needed <= n) {
    const accuracy = mean(shares.map((p) => binomialExceeds(needed - 1, n, p)));
    runs.push({ procedure: "certify", sigma, n, accuracy, samples: N0 + n });
  }
  const simulated = threshold < 1 ? simulate({ sigma, n, alpha, radius }, threshold, shares) : [];
  if (simulated.length > 0)
    runs.push({
      procedure: "certifyAtRadius",
      ...{ sigma, n },
      accuracy: mean(simulated.map(({ certified }) => (certified ? 1 : 0))),
      samples: mean(simulated.map(({ samples }) => samples)),
    });
  return runs;
}

/** The sequential test on votes of probability p for each image, several times. */
function simulate({ sigma, n, alpha }: Candidate, threshold: number, shares: readonly number[]) {
  const patience = Math.min(n, defaultPatience(threshold));
  const test = new SequentialTest({ threshold, alpha, beta: 0.01, patience, maxSamples: n });
  if (test.needed > n) return [];
  const random = generator(key(`plan ${sigma} ${n}`));
  return shares.map((p) => {
    let [successes, samples] = [0, 0];
    for (;;) {
      samples++;
      if (random() < p) successes++;
      const verdict = test.verdict(successes, samples);
      if (verdict !== "open") return { certified: verdict === "certified", samples };
    }
  });
}

function choose(runs: readonly PlannedRun[], goal: PlanGoal): PlannedRun | undefined {
  const { accuracy, samples = Number.POSITIVE_INFINITY } = goal;
  const affordable = runs.filter((run) => run.samples <= samples);
  const best = affordable.reduce((most, run) => Math.max(most, run.accuracy), 0);
  const slack = goal.samples === undefined ? 0.005 : 0;
  return affordable.find((run) => run.accuracy >= (accuracy ?? best - slack) && run.accuracy > 0);
}

function checkPlan(options: PlanOptions): void {
  const caller = "plan";
  checkOptions(caller, options, names);
  const { goal, sigmas, sizes, images, pilot, alpha } = options;
  if (typeof goal !== "object" || goal === null)
    throw new DmaeError(
      "argument",
      `${caller}: goal must be { radius, accuracy?, samples? }, got ${show(goal)}`,
    );
  checkPositive(caller, "goal.radius", goal.radius);
  if (goal.accuracy !== undefined) checkProbability(caller, "goal.accuracy", goal.accuracy);
  if (goal.samples !== undefined) checkPositive(caller, "goal.samples", goal.samples);
  for (const [name, list] of Object.entries({ sigmas, sizes }))
    if (name === "sigmas" || list !== undefined)
      if (!Array.isArray(list) || list.length === 0)
        throw new DmaeError(
          "argument",
          `${caller}: ${name} must be a non-empty array of numbers, got ${Array.isArray(list) ? "[]" : show(list)}`,
        );
  for (const sigma of sigmas) checkPositive(caller, "a sigma", sigma);
  for (const n of sizes ?? []) checkInteger(caller, "a size", n);
  if (images !== undefined) checkInteger(caller, "images", images);
  if (pilot !== undefined) checkInteger(caller, "pilot", pilot);
  if (alpha !== undefined) checkAlpha(caller, alpha);
}
