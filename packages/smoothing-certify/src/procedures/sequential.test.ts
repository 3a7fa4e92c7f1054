import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { atMost, simulate } from "../__fixtures__/simulate.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import type { LogRow } from "../log/log-row.ts";
import { logBeta, logBetaCdf, logBetaSurvival } from "../statistics/beta.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalCdf } from "../statistics/normal.ts";
import { logMixture, SequentialTest, votesNeeded } from "../statistics/sequential-test.ts";
import { atRadiusProcedure } from "./at-radius-procedure.ts";
import { certifyAtRadius, certifyDatasetAtRadius } from "./certify-at-radius.ts";

describe("the beta distribution", () => {
  // ln B(a, b), ln P(X <= x), ln P(X > x) by mpmath 1.3 at 40 digits
  const exact: [a: number, b: number, x: number, beta: number, cdf: number, survival: number][] = [
    [0.5, 0.5, 0.1, 1.1447298858494002, -1.5855614147303534, -0.22920282758111515],
    [0.5, 0.5, 0.97725, 1.1447298858494002, -0.10135729354301623, -2.3393540739613097],
    [100.5, 0.5, 0.97725, -1.7314701448611685, -3.4511176867993, -0.032223830031825766],
    [990.5, 10.5, 0.97725, -58.540763125745244, -6.603390860353956, -0.0013566829095985593],
    [977.5, 23.5, 0.97725, -112.03232945169874, -0.626282672087561, -0.7648049649659375],
    [50000.5, 50000.5, 0.51, -69319.5555826938, -1.2644934902116527e-10, -22.791179291001622],
    [99000.5, 1000.5, 0.9905, -5604.991002604887, -0.05389232493720735, -2.947592355144335],
    [409.5, 0.5, 0.97725, -2.4347982584924583, -11.15907488329503, -1.4245524645507433e-5],
    [5.5, 3000.5, 0.01, -40.08224626834332, -7.957759139733813e-9, -18.649118395810632],
    [1, 1, 0.3, 0, -1.2039728043259361, -0.35667494393873234],
    [870.5, 130.5, 0.84134, -388.9220971326516, -5.184963298872074, -0.005615881729199941],
    [99999.5, 0.5, 0.99865, -5.184094039547914, -138.11919781473296, 0],
  ];
  it.each(exact)("Beta(%f, %f) at %f has exact logarithms", (a, b, x, beta, cdf, survival) => {
    expectClose([logBeta(a, b)], [beta], { relative: 1e-13, absolute: 2e-13 });
    expectClose([logBetaCdf(a, b, x)], [cdf], { relative: 1e-11, absolute: 1e-14 });
    expectClose([logBetaSurvival(a, b, x)], [survival], { relative: 1e-11, absolute: 1e-14 });
  });
});

describe("the truncated mixture", () => {
  it("is the mean likelihood ratio over the prior, by direct integration", () => {
    // q = sin^2(u) has Jeffreys' prior where u is uniform
    const direct = (successes: number, n: number, t: number, side: "above" | "below") => {
      const from = side === "above" ? Math.asin(Math.sqrt(t)) : 0;
      const to = side === "above" ? Math.PI / 2 : Math.asin(Math.sqrt(t));
      const steps = 20000;
      let sum = 0;
      for (let i = 0; i < steps; i++) {
        const q = Math.sin(from + ((i + 0.5) / steps) * (to - from)) ** 2;
        sum += (q / t) ** successes * ((1 - q) / (1 - t)) ** (n - successes);
      }
      return Math.log(sum / steps);
    };
    for (const [s, n, t] of [
      [0, 0, 0.7],
      [5, 5, 0.7],
      [0, 4, 0.9],
      [30, 40, 0.6],
      [17, 40, 0.6],
    ] as const)
      for (const side of ["above", "below"] as const)
        expectClose([logMixture(side, s, n, t)], [direct(s, n, t, side)], { absolute: 1e-6 });
  });

  it("is a martingale at p = t", () => {
    for (const [s, n, t] of [
      [3, 5, 0.8],
      [40, 50, 0.84134],
      [990, 1000, 0.97725],
    ] as const) {
      const after =
        t * Math.exp(logMixture("above", s + 1, n + 1, t)) +
        (1 - t) * Math.exp(logMixture("above", s, n + 1, t));
      expectClose([after], [Math.exp(logMixture("above", s, n, t))], { relative: 1e-9 });
    }
  });
});

describe("SequentialTest", () => {
  const settings = { threshold: normalCdf(1), alpha: 0.001, beta: 0.001, maxSamples: 2000 };
  const test = new SequentialTest(settings);

  it("has the thresholds that a search at every n finds", () => {
    for (const n of [1, 10, 47, 60, 100, 333, 800]) {
      let up = 0;
      while (up <= n && logMixture("above", up, n, settings.threshold) < Math.log(2000) + 1e-9)
        up++;
      let down = n;
      while (down >= 0 && logMixture("below", down, n, test.worthwhile) < Math.log(1000) + 1e-9)
        down--;
      expect(test.verdict(up, n)).toBe("certified");
      if (up > 0) expect(test.verdict(up - 1, n)).not.toBe("certified");
      if (down >= 0) expect(test.verdict(down, n)).toBe("futile");
      expect(test.verdict(down + 1, n)).not.toBe("futile");
    }
  });

  it("never says how many votes it takes where no number does", async () => {
    for (const radius of [3, 2, 2.2])
      await expect(
        certifyAtRadius(halves, [0.5], { sigma: 0.25, radius, numClasses: 2 }),
      ).rejects.toThrow("even if all agree; it takes more than can be drawn");
  });

  it("finds the votes needed of billions", () => {
    for (const n of [2 ** 31 - 1, 2 ** 32, 2 ** 40]) {
      const votes = votesNeeded(n, 0.6, 0.001);
      expect(votes / n).toBeCloseTo(0.6, 3);
      expect(clopperPearsonLower(votes, n, 0.001)).toBeGreaterThanOrEqual(0.6);
      expect(clopperPearsonLower(votes - 1, n, 0.001)).toBeLessThan(0.6);
    }
  });

  it("takes the last look by Clopper-Pearson at half of alpha", () => {
    const { needed } = test;
    expect(clopperPearsonLower(needed, 2000, 0.0005)).toBeGreaterThanOrEqual(settings.threshold);
    expect(clopperPearsonLower(needed - 1, 2000, 0.0005)).toBeLessThan(settings.threshold);
    expect(test.verdict(needed, 1999)).toBe("certified");
    expect(test.verdict(needed - 2, 1999)).toBe("futile");
  });

  it("gives up on inputs that are worth it with probability beta at most, and early on others", () => {
    const t = normalCdf(1);
    const patient = new SequentialTest({ ...settings, maxSamples: 20_000 });
    const common = { ...settings, beta: 0.05, patience: 2_000, maxSamples: 20_000 };
    const hasty = new SequentialTest(common);
    expect(hasty.worthwhile).toBeGreaterThan(patient.worthwhile);
    expect(
      clopperPearsonLower(Math.round(2000 * hasty.worthwhile), 2000, 0.001),
    ).toBeGreaterThanOrEqual(t);
    const random = generator(key("patience"));
    const share = (test: SequentialTest, p: number) => {
      let futile = 0;
      let samples = 0;
      const numbers = { radius: 1, n0: 0, maxSamples: 20_000, firstLook: 16 };
      for (let run = 0; run < 300; run++) {
        const result = simulate(atRadiusProcedure(numbers, test, 0), [p, 1 - p], random);
        if (result.decision === "futile") futile++;
        samples += result.samples / 300;
      }
      return { futile: futile / 300, samples };
    };
    expect(share(hasty, hasty.worthwhile).futile).toBeLessThan(atMost(0.05, 300));
    expect(share(hasty, t).samples).toBeLessThan(share(patient, t).samples / 2);
  });

  it("needs 51 unanimous votes at r = sigma and alpha = 0.001", () => {
    // alpha / 2 = 0.0005 against the table's alpha = 0.001 with 47
    let n = 1;
    while (test.verdict(n, n) !== "certified") n++;
    expect(n).toBe(51);
  });
});

describe("certifyAtRadius", () => {
  const sigma = 0.5;
  const half = (batch: Float32Array, [n = 0]: number[]) =>
    Int32Array.from({ length: n }, (_, i) => (batch[i]! > 0 ? 1 : 0));
  const options = { seed: 0, sigma, radius: 0.5, numClasses: 2, maxSamples: 5000 };

  it("certifies below the exact radius and gives up above it", async () => {
    const near = await certifyAtRadius(half, [0.6], options);
    expect(near).toMatchObject({
      certified: true,
      prediction: 1,
      radius: 0.5,
      decision: "certified",
    });
    const far = await certifyAtRadius(half, [0.4], options);
    expect(far).toMatchObject({ certified: false, prediction: -1, radius: 0, decision: "futile" });
    const wrong = await certifyAtRadius(half, [0.6], { ...options, label: 0 });
    expect(wrong).toMatchObject({ certified: false, counts0: [], decision: "futile" });
    expect(wrong.samples).toBeLessThan(30);
  });

  it("does not depend on how votes are batched", async () => {
    const want = await certifyAtRadius(half, [0.57], options);
    for (const batchSize of [1, 5, 1000])
      expect(await certifyAtRadius(half, [0.57], { ...options, batchSize })).toEqual(want);
  });

  it("says how many samples a radius would take", async () => {
    await expect(certifyAtRadius(half, [0.6], { ...options, radius: 2 })).rejects.toThrow(
      "certifyAtRadius: 5000 samples cannot certify radius 2 at sigma 0.5 and alpha 0.001, even if all agree; it takes 239991",
    );
    await expect(certifyAtRadius(half, [0.6], { ...options, radius: 0 })).rejects.toThrow(
      "radius must be a finite number above 0, got 0",
    );
    await expect(certifyAtRadius(half, [0.6], { ...options, patience: 0 })).rejects.toThrow(
      "certifyAtRadius: patience must be an integer of at least 1, got 0",
    );
    await expect(certifyAtRadius(half, [0.6], { ...options, beta: 1 })).rejects.toThrow(
      "beta must lie in (0, 1), got 1",
    );
  });

  it("shares full batches among the images of a data set", async () => {
    const values = Array.from({ length: 60 }, (_, i) => i / 60);
    const dataset = {
      name: "steps",
      length: 60,
      imageShape: [1, 1, 1] as const,
      numClasses: 2,
      get: (i: number) => ({ image: Float32Array.of(values[i]!), label: i < 3 ? 0 : 1 }),
    };
    const sizes: number[] = [];
    const spy = (batch: Float32Array, shape: number[]) => {
      sizes.push(shape[0]!);
      return half(batch, shape);
    };
    const rows: LogRow[] = [];
    const run = { ...options, batchSize: 64, checkRows: false, maxSamples: 1000 };
    for await (const row of certifyDatasetAtRadius(spy, dataset, run)) rows.push(row);
    const full = sizes.filter((size) => size === 64).length;
    expect(full / sizes.length).toBeGreaterThan(0.7);
    expect(rows.map((row) => row.idx).sort((a, b) => a - b)).toEqual(values.map((_, i) => i));
    for (const row of rows) {
      if (row.correct) expect(values[row.idx]).toBeGreaterThan(0.5);
      if (values[row.idx]! > 0.62) expect(row.correct, `image ${row.idx}`).toBe(1);
      const alone = await certifyAtRadius(half, [values[row.idx]!], {
        ...run,
        index: row.idx,
        label: row.label,
      });
      expect(alone).toMatchObject({ samples: row.samples, counts: row.counts, radius: row.radius });
    }
    const guessed: LogRow[] = [];
    for await (const row of certifyDatasetAtRadius(spy, dataset, {
      ...run,
      mode: "deploy",
      n0: 20,
    }))
      guessed.push(row);
    expect(guessed.filter((row) => row.correct).length).toBe(
      rows.filter((row) => row.correct).length,
    );
  });
});

it("refuses selection samples where the class is known: none would be drawn", async () => {
  const run = { sigma: 0.5, radius: 0.1, n0: 20 };
  await expect(certifyAtRadius(halves, [0.9], { ...run, label: 1 })).rejects.toThrow(
    "certifyAtRadius: n0 must be left out with label, whose class is tested, got 20",
  );
  await expect(certifyDatasetAtRadius(halves, steps(2), run).toArray()).rejects.toThrow(
    'certifyDatasetAtRadius: n0 must be left out with mode "evaluate", which tests the label, got 20',
  );
});

describe("samples saved", () => {
  it("the sequential test takes about what the simulations of the literature table say", () => {
    // sigma = 0.5, r = 0.5, label given, cap 1e5: p -> mean samples (table at full alpha; ours keeps half)
    const test = new SequentialTest({
      threshold: normalCdf(1),
      alpha: 0.001,
      beta: 0.001,
      maxSamples: 100_000,
    });
    const random = generator(key("saved"));
    for (const [p, table] of [
      [0.3, 11],
      [0.55, 36],
      [0.9, 577],
      [0.99, 57],
      [0.999, 48],
    ] as const) {
      let sum = 0;
      const runs = 200;
      for (let run = 0; run < runs; run++)
        sum += simulate(
          atRadiusProcedure({ radius: 0.5, n0: 0, maxSamples: 100_000, firstLook: 1 }, test, 0),
          [p, 1 - p],
          random,
        ).samples;
      expect(sum / runs).toBeGreaterThan(table * 0.8);
      expect(sum / runs).toBeLessThan(table * 1.25 + 2);
    }
  });
});
