import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import type { LogRow } from "../log/log-row.ts";
import { recertify } from "../log/recertify.ts";
import { certify } from "../procedures/certify.ts";
import { certifyDatasetAtRadius } from "../procedures/certify-at-radius.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { bernsteinLower, certifySoft, hoeffdingLower } from "../procedures/soft-votes.ts";
import { certificate } from "./certificate.ts";
import { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
import { normalCdf, normalQuantile } from "./normal.ts";
import { topKRadius } from "./top-k.ts";

const base = { sigma: 1, alpha: 0.001 };
const votes = (...counts: number[]) => [[1], counts] as const;

describe("certificate", () => {
  it("one-class is the published protocol", () => {
    const pLower = clopperPearsonLower(990, 1000, 0.001);
    expect(certificate(base, ...votes(990, 10))).toEqual({
      prediction: 0,
      radius: normalQuantile(pLower) * (1 - 2 ** -49),
      pLower,
      abstained: false,
    });
    expect(certificate(base, ...votes(500, 500))).toMatchObject({ prediction: -1, radius: 0 });
  });

  it("two-class has the gains of independent simulations at n = 1e5", () => {
    // pA = .7 with half of the rest on the runner-up: .765 against .5115; .9: 1.442 / 1.265; .45: .222 / abstains
    const two = (a: number, b: number) =>
      certificate({ ...base, bound: "two-class" }, ...votes(a, b, 100_000 - a - b)).radius;
    expectClose(
      [two(70_000, 15_000), two(90_000, 5_000), two(99_000, 500)],
      [0.765, 1.4415, 2.404],
      { absolute: 0.002 },
    );
    expectClose([certificate(base, ...votes(70_000, 15_000, 15_000)).radius], [0.5115], {
      absolute: 1e-4,
    });
    expectClose([two(45_000, 27_500)], [0.222], { absolute: 0.002 });
    expect(certificate(base, ...votes(45_000, 27_500, 27_500)).abstained).toBe(true);
  });

  it("two-class never falls below one-class at 0.9 alpha", () => {
    for (const [a, b] of [
      [800, 200],
      [990, 10],
      [520, 480],
      [1000, 0],
      [600, 200],
    ] as const) {
      const two = certificate({ ...base, bound: "two-class" }, ...votes(a, b, 1000 - a - b)).radius;
      const one = certificate({ ...base, alpha: 0.0009 }, ...votes(a, b, 1000 - a - b)).radius;
      expect(two).toBeGreaterThanOrEqual(one * (1 - 1e-14));
    }
  });

  it("takes the distance of the noise's law off the bound", () => {
    const settings = { ...base, totalVariation: 0.01 };
    const { pLower } = certificate(settings, ...votes(990, 10));
    expectClose([pLower], [clopperPearsonLower(990, 1000, 0.001) - 0.01], { relative: 1e-14 });
    expect(pLower).toBeLessThan(clopperPearsonLower(990, 1000, 0.001) - 0.01);
  });

  it("refuses distances, votes and settings that there cannot be", () => {
    for (const totalVariation of [-0.01, -1e-300, 1.01, Number.NaN, "0.1" as never])
      expect(() => certificate({ ...base, totalVariation }, ...votes(990, 10))).toThrow(
        "certificate: totalVariation must lie in [0, 1], got",
      );
    for (const counts of [
      [990, -10],
      [990, 1.5],
      [Number.NaN, 3],
      ["9" as never, 1],
    ])
      expect(() => certificate(base, [1], counts)).toThrow(
        "certificate: counts must be integers >= 0",
      );
    expect(() => certificate(base, [], [9, 1])).toThrow(
      "certificate: counts0 must be votes by class",
    );
    expect(() => certificate({ ...base, sigma: -1 }, ...votes(9, 1))).toThrow("sigma must be");
  });

  it("knows other noises and norms", () => {
    const pLower = clopperPearsonLower(990, 1000, 0.001);
    const uniform = certificate({ ...base, distribution: "uniform" }, ...votes(990, 10));
    expectClose([uniform.radius], [2 * Math.sqrt(3) * (pLower - 0.5)], { relative: 1e-13 });
    const linf = certificate({ ...base, norm: "linf", dimension: 100 }, ...votes(990, 10));
    expectClose([linf.radius], [normalQuantile(pLower) / 10], { relative: 1e-13 });
    expect(() => certificate({ ...base, bound: "other" as never }, ...votes(9, 1))).toThrow(
      'bound must be "one-class" or "two-class", got "other"',
    );
  });

  it("reaches certify with its options", async () => {
    const three = (b: Float32Array, [n = 0]: number[]) =>
      Int32Array.from({ length: n }, (_, i) => (b[i]! > 0 ? 2 : b[i]! < -0.6 ? 0 : 1));
    const options = { seed: 0, sigma: 0.5, n: 2000, numClasses: 3 };
    const one = await certify(three, [0.02], options);
    const two = await certify(three, [0.02], { ...options, bound: "two-class" });
    expect(one.abstained).toBe(true);
    expect(two.prediction).toBe(2);
    expect(two.radius).toBeGreaterThan(0);
    const laplace = await certify(three, [0.5], { ...options, distribution: "laplace" });
    expect(laplace.radius).toBeGreaterThan(0.3); // exact: 0.5
    expect(laplace.radius).toBeLessThan(0.5);
    const sound = await certify(three, [128 / 255], { ...options, sound: true });
    const exact = 128 / 255;
    expect(sound.radius).toBeGreaterThan(0.4);
    expect(sound.radius).toBeLessThan(exact);
    await expect(certify(three, [0.5], { ...options, sound: true })).rejects.toThrow(
      "pixels must be k / 255",
    );
    await expect(
      certify(three, [1], { ...options, sound: true, distribution: "uniform" }),
    ).rejects.toThrow("sound noise is Gaussian, got uniform");
  });
});

describe("topKRadius", () => {
  const alpha = 0.001;

  it("is the two-class radius for k = 1, with the rivals' share of alpha", () => {
    const counts = [700, 150, 100, 50];
    const lower = clopperPearsonLower(700, 1000, 0.9 * alpha);
    const upper = clopperPearsonUpper(150, 1000, (0.1 * alpha) / 3);
    const want = (normalQuantile(lower) - normalQuantile(Math.min(upper, 1 - lower))) / 2;
    expectClose([topKRadius(counts, { target: 0, k: 1, sigma: 1, alpha })], [want], {
      relative: 1e-9,
    });
  });

  it("satisfies its equation with equality and grows with k", () => {
    const counts = [400, 300, 200, 100];
    let before = 0;
    for (const k of [1, 2, 3]) {
      const r = topKRadius(counts, { target: 0, k, sigma: 2, alpha }) / 2;
      expect(r).toBeGreaterThanOrEqual(before);
      before = r;
      if (r === 0) continue;
      const lower = clopperPearsonLower(400, 1000, 0.9 * alpha);
      const uppers = [300, 200, 100].map((c) => clopperPearsonUpper(c, 1000, (0.1 * alpha) / 3));
      const rivals = uppers.slice(0, k).reverse();
      const bounds = rivals.map((_, t) => {
        const sum = Math.min(
          1 - lower,
          rivals.slice(0, t + 1).reduce((a, b) => a + b),
        );
        return normalCdf(normalQuantile(sum) + r) / (t + 1);
      });
      expectClose([Math.min(...bounds)], [normalCdf(normalQuantile(lower) - r)], {
        relative: 1e-9,
      });
    }
    expect(before).toBeGreaterThan(0.3);
    expect(topKRadius(counts, { target: 0, k: 4, sigma: 1, alpha })).toBe(Number.POSITIVE_INFINITY);
    expect(topKRadius(counts, { target: 3, k: 1, sigma: 1, alpha })).toBe(0);
    expect(() => topKRadius(counts, { target: 4, k: 4, sigma: 1, alpha })).toThrow(
      "topKRadius: target must be one of the 4 classes, 0 … 3, got 4",
    );
    expect(() => topKRadius([5, -1], { target: 0, k: 1, sigma: 1, alpha })).toThrow(
      "counts must be",
    );
  });
});

describe("soft votes", () => {
  it("bounds are those worked out by hand", () => {
    const rounding = 10_000 * Number.EPSILON; // of a mean of so many votes
    expectClose(
      [hoeffdingLower(0.9, 10_000, 0.001)],
      [0.9 - Math.sqrt(6.907755278982137 / 20_000)],
      { absolute: 2e-12 + rounding },
    );
    const log = 7.600902459542082;
    expectClose(
      [bernsteinLower(0.9, 0.01, 10_000, 0.001)],
      [0.9 - Math.sqrt((0.02 * log) / 1e4) - (7 * log) / (3 * 9999)],
      { absolute: 2e-12 + rounding },
    );
    expect(hoeffdingLower(0.01, 10, 0.001)).toBe(0);
    expect(() => bernsteinLower(0.5, -1, 10, 0.1)).toThrow("a variance >= 0");
    expect(() => hoeffdingLower(1.5, 10, 0.1)).toThrow("mean must lie in [0, 1], got 1.5");
  });

  it("certify the soft classifier below its exact radius", async () => {
    // sigmoid(4 v) against sigmoid(-4 v): the mean vote at v = 0.8 is about that of a probit
    const logits = (b: Float32Array, [n = 0]: number[]) =>
      Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? 4 * b[i >> 1]! : 0));
    const options = { seed: 0, sigma: 0.25, n: 4000, n0: 10 };
    const bernstein = await certifySoft(logits, [0.5], options);
    const hoeffding = await certifySoft(logits, [0.5], { ...options, bound: "hoeffding" });
    expect(bernstein.prediction).toBe(1);
    expect(bernstein.mean).toBe(hoeffding.mean);
    expectClose([hoeffding.pLower], [hoeffdingLower(hoeffding.mean, 4000, 0.001)]);
    expect(bernstein.radius).toBeGreaterThan(hoeffding.radius);
    expect(bernstein.mean).toBeGreaterThan(0.8);
    // a steep beta turns soft votes into hard ones
    const hard = await certify(logits, [0.5], options);
    const steep = await certifySoft(logits, [0.5], { ...options, beta: 1e6 });
    expectClose([steep.mean], [hard.counts[1]! / 4000], { absolute: 1e-3 });
    expect(steep.radius).toBeLessThan(hard.radius);
    await expect(certifySoft(halves, [0.5], { ...options, numClasses: 2 })).rejects.toThrow(
      "must return logits, got class ids",
    );
    for (const distribution of ["uniform", "laplace"] as const)
      await expect(certifySoft(logits, [0.5], { ...options, distribution })).rejects.toThrow(
        `certifySoft: distribution must be "gaussian", the only one supported here, got "${distribution}"; use certify for others`,
      );
  });

  it("certify in the norm asked for", async () => {
    const logits = (b: Float32Array, [n = 0]: number[]) =>
      Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? 40 * b[3072 * (i >> 1)]! : 0));
    const x = new Float32Array(3072).fill(0.5);
    const options = { sigma: 0.25, n: 1000, n0: 10, seed: 1 };
    const l2 = await certifySoft(logits, x, options);
    const linf = await certifySoft(logits, x, { ...options, norm: "linf" });
    expect(l2.radius).toBeGreaterThan(0.3);
    expectClose([linf.radius], [l2.radius / Math.sqrt(3072)], { relative: 1e-13 });
    await expect(certifySoft(logits, x, { ...options, norm: "l0" as never })).rejects.toThrow(
      "norm must be one of",
    );
  });

  it("stay below the bound of exact votes that are nearly 1", async () => {
    const logits = (b: Float32Array, [n = 0]: number[]) =>
      Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? 14 + 3 * Math.tanh(b[i >> 1]!) : 0));
    const options = { sigma: 1, n: 20_000, n0: 10, seed: 5 };
    const seen: number[] = [];
    const watched = (b: Float32Array, shape: number[]) => {
      seen.push(...b);
      return logits(b, shape);
    };
    const { pLower } = await certifySoft(watched, [0], { ...options, checkRows: false });
    // what the votes lack to 1, which float64 holds exactly enough
    const lacking = seen.slice(10).map((v) => {
      const e = Math.exp(-Math.fround(14 + 3 * Math.tanh(v)));
      return e / (1 + e);
    });
    expect(lacking.length).toBe(options.n);
    const mean = lacking.reduce((sum, v) => sum + v, 0) / options.n;
    const variance = lacking.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (options.n - 1);
    const log = Math.log(2 / 0.001);
    const slack = Math.sqrt((2 * variance * log) / options.n) + (7 * log) / (3 * (options.n - 1));
    expect(1 - pLower).toBeGreaterThanOrEqual(mean + slack);
    expect(1 - pLower).toBeLessThan(mean + slack + 3e-12 + options.n * Number.EPSILON);
  });
});

describe("recertify", () => {
  const options = { seed: 0, sigma: 0.5, n0: 10, n: 200, model: "halves" };
  const collect = async (more: object = {}) => {
    const rows: LogRow[] = [];
    for await (const row of certifyDataset(halves, steps(10), { ...options, ...more }))
      rows.push(row);
    return rows.map((row) => ({ ...row, time: 0 }));
  };

  it("gives what a run with other settings gives, without the model", async () => {
    const rows = await collect();
    expect(recertify(rows, {})).toEqual(rows);
    expect(recertify(rows, { alpha: 0.05 })).toEqual(await collect({ alpha: 0.05 }));
    expect(recertify(rows, { bound: "two-class" })).toEqual(await collect({ bound: "two-class" }));
  });

  it("takes the dimension from the log, stores one that the log lacks and refuses another", async () => {
    const image = Float32Array.from({ length: 784 }, (_, i) => (i < 28 ? 0.6 : 0));
    const all = { ...steps(1), imageShape: [28, 28, 1] as const, get: () => ({ image, label: 1 }) };
    const first = (batch: Float32Array, [n = 0]: number[]) =>
      Int32Array.from({ length: n }, (_, i) => (batch[784 * i]! > 0 ? 1 : 0));
    const rows: LogRow[] = [];
    for await (const row of certifyDataset(first, all, options)) rows.push(row);
    expect(rows[0]!.settings!.dimension).toBe(784);
    const [linf] = recertify(rows, { norm: "linf" });
    expectClose([linf!.radius], [rows[0]!.radius / 28], { relative: 1e-13 });
    expect(recertify(rows, { norm: "linf", dimension: 784 })).toEqual([linf]);
    expect(() => recertify(rows, { norm: "linf", dimension: 1 })).toThrow(
      "recertify: dimension must be 784, the numbers of the log's images, got 1; leave it out",
    );
    const { dimension: _, ...settings } = rows[0]!.settings!;
    const old = [{ ...rows[0]!, settings: settings as LogRow["settings"] & object }];
    expect(() => recertify(old, { norm: "linf" })).toThrow("depends on the dimension");
    const [again] = recertify(old, { norm: "linf", dimension: 784 });
    expect(again!.settings).toMatchObject({ norm: "linf", dimension: 784 });
    expect(again!.radius).toBe(linf!.radius);
    expect(recertify([again!], { alpha: 0.001 })).toEqual([again]);
  });

  it("keeps what an attack found as long as the radius is about the same", async () => {
    const settings = { norm: "linf", attack: "votes", attackAlpha: 0.001 };
    const rows = (await collect({ norm: "linf" })).map((row) => ({
      ...{ ...row, attacked: 0.04, clean: 1 as const },
      settings: { ...row.settings!, ...settings },
    }));
    for (const same of [{}, { alpha: 0.01 }, { norm: "linf" }] as const)
      expect(recertify(rows, same)[3]).toMatchObject({ attacked: 0.04, clean: 1, settings });
    const [l2] = recertify(rows, { norm: "l2" }).slice(3);
    expect(l2!.settings).toMatchObject({ norm: "l2" });
    for (const name of ["attacked", "clean"]) expect(l2).not.toHaveProperty(name);
    for (const name of ["attack", "attackAlpha"]) expect(l2!.settings).not.toHaveProperty(name);
    const three = recertify(rows, { norm: "l2" }).map((row) => ({
      ...{ ...row, attacked: 0.04, clean: 1 as const, counts0: [3, 5, 0], counts: [60, 130, 10] },
    }));
    expect(recertify(three, { topK: 1 })[3]).toHaveProperty("attacked", 0.04);
    expect(recertify(three, { topK: 2 })[3]).not.toHaveProperty("attacked");
    expect(() => recertify(recertify(three, { topK: 2 }), { bound: "two-class" })).toThrow(
      "recertify: bound must be left out for a log of topK 2, which has a bound of its own",
    );
  });

  it("does not count it as correct to abstain on an image without a label", async () => {
    const rows = (await collect()).map((row) => ({ ...row, label: -1, correct: 0 as const }));
    for (const { correct } of recertify(rows, { alpha: 1e-9 })) expect(correct).toBe(0);
    expect(recertify(rows, { alpha: 1e-9 }).some(({ predict }) => predict === -1)).toBe(true);
  });

  it("stores what it computes: no bound beside topK, the bound of the label, topK that stays", async () => {
    const rows = await collect({ bound: "two-class" });
    const [row] = recertify(rows, { topK: 1 });
    expect(row!.settings).not.toHaveProperty("bound");
    expect(row!.pLower).toBe(clopperPearsonLower(row!.counts![row!.label]!, 200, 0.0009));
    expect(recertify([row!], { alpha: 0.01 })).toEqual(
      recertify(rows, { topK: 1, alpha: 0.01 }).slice(0, 1),
    );
    expect(() => recertify(rows, { topK: 1, bound: "two-class" })).toThrow("exclude each other");
    expect(() => recertify(rows, { bound: "both" as never })).toThrow('bound must be "one-class"');
    expect(() => recertify([], { norm: "l7" as never })).toThrow("norm must be one of");
  });

  it("leaves images abstained where the selection led to it, under the new settings", async () => {
    const rows = await collect({ skipWrongGuess: true });
    const again = recertify(rows, { alpha: 0.05 });
    expect(again).toEqual(await collect({ skipWrongGuess: true, alpha: 0.05 }));
    expect(again.some((row) => row.counts!.length === 0)).toBe(true);
  });

  it("certifies the label among the top k", async () => {
    const rows = await collect();
    const top = recertify(rows, { topK: 1 });
    for (const [i, row] of top.entries()) {
      expect(row.correct).toBe(row.radius > 0 ? 1 : 0);
      expect(row.radius).toBeLessThanOrEqual(rows[i]!.correct ? rows[i]!.radius * 1.01 : 0);
    }
    expect(() => recertify(rows, { topK: 2 })).toThrow(
      "recertify: topK must be less than the 2 classes, got 2",
    );
  });

  it("refuses rows without votes and of sequential tests", async () => {
    const [row] = await collect();
    const { counts: _, ...bare } = row!;
    expect(() => recertify([bare], {})).toThrow("recertify: image 0 has no votes");
    const sequential: LogRow[] = [];
    const run = { seed: 0, sigma: 0.5, radius: 0.2, maxSamples: 500, max: 2 };
    for await (const r of certifyDatasetAtRadius(halves, steps(5), run)) sequential.push(r);
    expect(() => recertify(sequential, {})).toThrow(
      "recertify: a sequential test stopped by its own",
    );
    expect(() => recertify([row!], { alpha: 2 })).toThrow(
      "recertify: alpha must lie in (0, 1), got 2",
    );
  });
});
