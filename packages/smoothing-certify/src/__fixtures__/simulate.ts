import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import type { Procedure } from "../run/procedure.ts";

/** Runs a procedure on independent votes: class c with probability `probabilities[c]`. */
export function simulate<R>(
  procedure: Procedure<R>,
  probabilities: readonly number[],
  random: () => number,
  logitsOf?: (random: () => number) => number[],
): R {
  const numClasses = probabilities.length;
  for (;;) {
    const step = procedure.next();
    if (step.done) return step.value;
    for (const { count, collector } of step.value) {
      const classes = new Int32Array(count);
      const logits = logitsOf ? new Float64Array(count * numClasses) : undefined;
      for (let i = 0; i < count; i++) {
        let rest = random();
        let c = 0;
        while (c < numClasses - 1 && rest >= probabilities[c]!) rest -= probabilities[c++]!;
        classes[i] = c;
        if (logitsOf) logits!.set(logitsOf(random), i * numClasses);
      }
      collector.add({ classes, numClasses, ...(logits && { logits }) }, 0, count);
    }
  }
}

/** The share of runs that end in what `wrong` says is a wrong certificate. */
export function wrongRate<R>(
  seed: string,
  runs: number,
  start: () => Procedure<R>,
  probabilities: readonly number[],
  wrong: (result: R) => boolean,
  logitsOf?: (random: () => number) => number[],
): number {
  const random = generator(key(seed));
  let count = 0;
  for (let run = 0; run < runs; run++)
    if (wrong(simulate(start(), probabilities, random, logitsOf))) count++;
  return count / runs;
}

/** What a rate of at most `rate` can show in `runs` runs: four standard errors above. */
export function atMost(rate: number, runs: number): number {
  return rate + 4 * Math.sqrt((rate * (1 - rate)) / runs);
}
