import {
  type AdaptiveSettings,
  adaptiveProcedure,
  nextPilot,
  planned,
} from "../procedures/adaptive-procedure.ts";
import { logBinomialMass } from "../statistics/binomial.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalQuantile } from "../statistics/normal.ts";

/** What adaptive certification costs and gives at one p. */
export interface AdaptiveCost {
  /** Expected samples, pilot included. */
  samples: number;
  /** Expected share of the radius of `maxSamples` fixed samples that is given away. */
  shortfall: number;
}

/**
 * Expected samples and shortfall where each vote is for the class with probability p, by summation over
 * everything that pilot and sample can show: no random numbers, events below 1e-7 left out. The rules for
 * pilot and sample are the procedure's own functions.
 */
export function adaptiveCost(p: number, settings: AdaptiveSettings): AdaptiveCost {
  const full = expectedScore(settings.maxSamples, p, settings.alpha);
  const cost = { samples: 0, score: 0 };
  const scores = new Map<number, number>();
  for (const { drawn, n, weight } of pilotOutcomes(p, settings)) {
    cost.samples += weight * (drawn + n);
    if (n > 0 && !scores.has(n)) scores.set(n, expectedScore(n, p, settings.alpha));
    cost.score += weight * (scores.get(n) ?? 0);
  }
  return { samples: cost.samples, shortfall: 1 - cost.score / full };
}

interface PilotOutcome {
  drawn: number;
  n: number;
  weight: number;
}

/** Every way in which the pilot can end, merged by its size and votes. */
function pilotOutcomes(p: number, settings: AdaptiveSettings): PilotOutcome[] {
  const ended: PilotOutcome[] = [];
  let open = new Map([[0, 1]]); // votes against the class -> probability
  for (let drawn = 0; open.size > 0; ) {
    const next = new Map<number, number>();
    let size = settings.pilot;
    for (const [against, weight] of open) {
      if (drawn > 0) size = nextPilot(drawn, plan(drawn, against, settings), settings);
      for (const [more, mass] of masses(size - drawn, 1 - p))
        next.set(against + more, (next.get(against + more) ?? 0) + weight * mass);
    }
    drawn = size;
    open = new Map();
    for (const [against, weight] of next) {
      if (weight < 1e-7) continue;
      const n = plan(drawn, against, settings);
      if (nextPilot(drawn, n, settings) > drawn) open.set(against, weight);
      else ended.push({ drawn, n, weight });
    }
  }
  return ended;
}

/** What the procedure plans after `drawn` votes, `against` of them against the class: its guess has most votes. */
const plan = (drawn: number, against: number, settings: AdaptiveSettings) =>
  planned(Math.max(drawn - against, against), drawn, settings);

/** Mean of the score (radius by sigma) of n samples. */
function expectedScore(n: number, p: number, alpha: number): number {
  let sum = 0;
  for (const [against, mass] of masses(n, 1 - p)) {
    const lower = clopperPearsonLower(n - against, n, alpha);
    if (lower > 0.5) sum += mass * normalQuantile(lower);
  }
  return sum;
}

/** The values of a Binomial(n, q) that have a probability of 1e-7 or more. */
function masses(n: number, q: number): [number, number][] {
  const found: [number, number][] = [];
  const mean = Math.round(n * q);
  for (const step of [-1, 1])
    for (let k = step < 0 ? mean - 1 : mean; k >= 0 && k <= n; k += step) {
      const mass = Math.exp(logBinomialMass(k, n, q, 1 - q));
      if (mass < 1e-7) break;
      found.push([k, mass]);
    }
  return found;
}

/** Draws pilot and sample as the procedure asks for them; votes come from gaps between the rare ones. */
export function simulateAdaptive(p: number, settings: AdaptiveSettings, random: () => number) {
  const procedure = adaptiveProcedure(settings);
  for (;;) {
    const step = procedure.next();
    if (step.done) return step.value;
    for (const { count, collector } of step.value) {
      const classes = new Int32Array(count);
      for (let at = gap(p, random); at < count; at += 1 + gap(p, random)) classes[at] = 1;
      collector.add({ classes, numClasses: 2 }, 0, count);
    }
  }
}

/** How many votes for the class come before one that is not. */
function gap(p: number, random: () => number): number {
  return Math.floor(Math.log(1 - random()) / Math.log(p));
}
