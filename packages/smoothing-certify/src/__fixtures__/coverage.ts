import { adaptiveProcedure } from "../procedures/adaptive-procedure.ts";
import { atRadiusProcedure } from "../procedures/at-radius-procedure.ts";
import { certifyProcedure } from "../procedures/certify-procedure.ts";
import { type CertifiedRow, highProbabilityAccuracy } from "../report/summary.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalCdf, normalQuantile } from "../statistics/normal.ts";
import { predictProcedure } from "../procedures/predict.ts";
import { SequentialTest } from "../statistics/sequential-test.ts";
import { softProcedure } from "../procedures/soft-votes.ts";
import { topKRadius } from "../statistics/top-k.ts";
import { wrongRate } from "./simulate.ts";

/** A procedure on a Bernoulli classifier that is as bad for it as can be. */
export interface Coverage {
  name: string;
  alpha: number;
  runs: number;
  /** The rate of wrong certificates that there must be at least, so that the simulation shows something. */
  least: number;
  run: () => number;
}

/**
 * Every procedure at its worst p; `scale` 1 stands for 100,000 runs. Alpha is 0.01, so that rates are
 * seen with a few per cent of error. Where a radius is claimed, a claim is wrong when it exceeds the
 * exact radius of the simulated classifier (a halfspace has exactly `sigma Phi^-1(p)`).
 */
export function coverageOf(scale: number): Coverage[] {
  const alpha = 0.01;
  const runs = Math.round(100_000 * scale);
  const few = Math.round(20_000 * scale) * (scale === 1 ? 5 : 1);
  const sigma = 1;
  // p just below a value of the bound: P(Binomial >= k) is alpha there
  const worst = (k: number, n: number, rate = alpha) =>
    clopperPearsonLower(k, n, rate) * (1 - 1e-12);
  const wrongRadius = (p: number) => (r: { prediction: number; radius: number }) =>
    r.prediction === 0 ? r.radius > normalQuantile(p) : r.prediction > 0;
  const test = new SequentialTest({ threshold: normalCdf(1), alpha, beta: 0.001, maxSamples: 400 });
  const boundary = normalCdf(1) * (1 - 1e-12);
  const atRadius = { radius: 1, n0: 20, maxSamples: 400, firstLook: 16 };
  const adaptive = { sigma, alpha, pilot: 40, relativeWidth: 0.2, maxSamples: 300 };
  const doubling = { ...adaptive, pilot: 5, maxSamples: 640 }; // 5, 10 or 20 pilot samples
  return [
    {
      name: "CERTIFY, Clopper-Pearson",
      alpha,
      runs,
      least: 0.8 * alpha,
      run: () => {
        const p = worst(95, 100);
        const start = () => certifyProcedure({ sigma, n0: 20, n: 100, alpha });
        return wrongRate("certify", runs, start, [p, 1 - p], wrongRadius(p));
      },
    },
    {
      name: "CERTIFY where no class has a majority",
      alpha,
      runs,
      least: 0.1 * alpha,
      run: () => {
        const start = () => certifyProcedure({ sigma, n0: 20, n: 100, alpha });
        return wrongRate("majority", runs, start, [0.5, 0.5], (r) => !r.abstained);
      },
    },
    {
      name: "PREDICT between two equal classes",
      alpha,
      runs,
      least: 0.2 * alpha,
      run: () =>
        // either answer is wrong half of the time; count every answer that is not to abstain
        wrongRate("predict", runs, () => predictProcedure({ n: 101, alpha }), [0.5, 0.5], (r) => !r.abstained),
    },
    {
      name: "PREDICT where the law of the copies favours one of two equal classes",
      alpha,
      runs,
      least: 0,
      run: () => {
        const start = () => predictProcedure({ n: 201, alpha, totalVariation: 0.02 });
        return wrongRate("distant", runs, start, [0.52, 0.48], (r) => r.prediction === 0);
      },
    },
    {
      name: "high-probability accuracy of 12 images, each at its worst point",
      alpha,
      runs: few,
      least: 0.1 * alpha,
      run: () => {
        // all 20 votes agree with probability 0.05, and then the radius is more than the exact one
        const p = worst(20, 20, 0.05) * (1 - 1e-9);
        const radius = normalQuantile(p);
        const start = function* () {
          const rows: CertifiedRow[] = [];
          for (let idx = 0; idx < 12; idx++) {
            const settings = { sigma, n0: 1, n: 20, alpha: 0.05 };
            const result = yield* certifyProcedure(settings);
            const correct = result.prediction === 0 ? 1 : 0;
            rows.push({ idx, radius: result.radius, correct });
          }
          return highProbabilityAccuracy(rows, [radius * (1 + 1e-12)], 0.05, alpha)[0]!;
        };
        return wrongRate("all images", few, start, [p, 1 - p], (share) => share > 0);
      },
    },
    {
      name: "two-class bound",
      alpha,
      runs,
      least: 0.5 * alpha,
      run: () => {
        const p = clopperPearsonLower(75, 100, 0.9 * alpha) * (1 - 1e-12);
        const probabilities = [p, 1 - p, 0];
        const start = () =>
          certifyProcedure({ sigma, n0: 20, n: 100, alpha, bound: "two-class" as const });
        return wrongRate("two-class", runs, start, probabilities, wrongRadius(p));
      },
    },
    {
      name: "two-class bound where the runner-up is close",
      alpha,
      runs,
      least: 0,
      run: () => {
        const probabilities = [0.4, 0.35, 0.25];
        const exact = (normalQuantile(0.4) - normalQuantile(0.35)) / 2;
        const start = () =>
          certifyProcedure({ sigma, n0: 20, n: 100, alpha, bound: "two-class" as const });
        return wrongRate("close", runs, start, probabilities, (r) =>
          r.prediction === 0 ? r.radius > exact : r.prediction > 0,
        );
      },
    },
    {
      name: "top-2 radius where the class is third",
      alpha,
      runs,
      least: 0,
      run: () => {
        const start = () => certifyProcedure({ sigma, n0: 1, n: 100, alpha });
        return wrongRate("top", runs, start, [0.32, 0.34, 0.34], (r) =>
          topKRadius(r.counts, { target: 0, k: 2, sigma, alpha }) > 0,
        );
      },
    },
    {
      name: "sequential test at the boundary, class given",
      alpha,
      runs: few,
      least: 0.3 * alpha,
      run: () =>
        wrongRate("sequential", few, () => atRadiusProcedure(atRadius, test, 0), [boundary, 1 - boundary], (r) => r.certified),
    },
    {
      name: "sequential test at the boundary, class guessed",
      alpha,
      runs: few,
      least: 0.3 * alpha,
      run: () =>
        wrongRate("guessed", few, () => atRadiusProcedure(atRadius, test), [boundary, 1 - boundary], (r) => r.certified),
    },
    {
      name: "adaptive sample size",
      alpha,
      runs: few,
      least: 0.3 * alpha,
      run: () => {
        const p = worst(95, 100);
        return wrongRate("adaptive", few, () => adaptiveProcedure(adaptive), [p, 1 - p], wrongRadius(p));
      },
    },
    {
      name: "adaptive sample size, pilot doubled",
      alpha,
      runs: few,
      least: 0.3 * alpha,
      run: () => {
        const p = worst(95, 100);
        return wrongRate("doubling", few, () => adaptiveProcedure(doubling), [p, 1 - p], wrongRadius(p));
      },
    },
    ...(["hoeffding", "bernstein"] as const).map((bound) => ({
      name: `soft votes, ${bound}`,
      alpha,
      runs: few,
      least: 0,
      run: () => {
        // votes 0.05 and 0.95 with probabilities that make the mean 0.6
        const share = (0.6 - 0.05) / 0.9;
        const logit = Math.log(0.95 / 0.05);
        const settings = { sigma, n0: 20, n: 200, alpha, bound, beta: 1, totalVariation: 0, norm: "l2" as const, dimension: 1 };
        return wrongRate(
          bound,
          few,
          () => softProcedure(settings),
          [0.5, 0.5],
          (r) => (r.prediction === 0 ? r.radius > normalQuantile(0.6) : r.prediction > 0),
          (random) => (random() < share ? [logit, 0] : [0, logit]),
        );
      },
    })),
  ];
}
