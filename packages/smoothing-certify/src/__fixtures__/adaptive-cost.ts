import { type AdaptiveSettings, adaptiveProcedure, sampleSize } from "../adaptive-procedure.ts";
import { logBinomialMass } from "../binomial.ts";
import { clopperPearsonLower } from "../clopper-pearson.ts";
import { normalQuantile } from "../normal.ts";

/** What adaptive certification costs and gives at one p. */
export interface AdaptiveCost {
  /** Expected samples, pilot included. */
  samples: number;
  /** Expected share of the radius of `maxSamples` fixed samples that is given away. */
  shortfall: number;
}

/**
 * Expected samples and shortfall where each vote is for the class with probability p, by summation over
 * everything that pilot and sample can show: no random numbers, events below 1e-7 left out. It drives
 * the procedure itself, so that its rule for the pilot is the one that is measured.
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
    let size = 0;
    for (const [against, weight] of open) {
      size = nextPilot(drawn, against, settings);
      for (const [more, mass] of masses(size - drawn, 1 - p))
        next.set(against + more, (next.get(against + more) ?? 0) + weight * mass);
    }
    drawn = size;
    open = new Map();
    for (const [against, weight] of next) {
      if (weight < 1e-7) continue;
      if (nextPilot(drawn, against, settings) > drawn) open.set(against, weight);
      else ended.push({ drawn, n: plan(drawn, against, settings), weight });
    }
  }
  return ended;
}

const plans = new Map<string, number>();

function plan(drawn: number, against: number, settings: AdaptiveSettings): number {
  const { pilot: _, ...rest } = settings;
  const name = JSON.stringify([drawn, against, rest]);
  const known = plans.get(name);
  if (known !== undefined) return known;
  // as the procedure: the guess is the class with most votes
  const n = sampleSize(Math.max(drawn - against, against), drawn, settings);
  plans.set(name, n);
  return n;
}

/** Size of the pilot after `drawn` votes, `against` of them for another class: what the procedure asks for. */
function nextPilot(drawn: number, against: number, settings: AdaptiveSettings): number {
  if (drawn === 0) return settings.pilot;
  const most = Math.max(settings.pilot, Math.floor(settings.maxSamples / 32));
  return 10 * drawn < plan(drawn, against, settings) ? Math.min(2 * drawn, most) : drawn;
}

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
