import { describe, expect, it } from "vitest";
import { atMost, wrongRate } from "../__fixtures__/simulate.ts";
import { halves } from "../__fixtures__/steps.ts";
import type { ClassifierFunction } from "../classifier/classifier.ts";
import { certify } from "../procedures/certify.ts";
import { VoteCounts } from "../run/procedure.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { normalCdf, normalQuantile } from "../statistics/normal.ts";
import { RadiusLadder } from "../statistics/radius-ladder.ts";
import { type CertifierOptions, createCertifier } from "./certifier.ts";
import type { AnytimeResult } from "./request.ts";

const base: CertifierOptions = {
  sigma: 0.5,
  shape: [1],
  numClasses: 2,
  maxSamples: 2000,
  batchSize: 64,
};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const slowly =
  (ms: number): ClassifierFunction =>
  async (batch, shape) => {
    const copy = batch.slice();
    await pause(ms);
    return halves(copy, shape);
  };

describe("the radius at the worst of all times", () => {
  const alpha = 0.02;
  const [runs, votes] = [2000, 200];
  const p = normalCdf(1) * (1 - 1e-12); // the exact radius is 1, a rung of the ladder

  /** Whether the radius is ever at least the exact one, looked at after every vote. */
  const rate = (look: (successes: number, n: number) => boolean) =>
    wrongRate(
      "ladder",
      runs,
      function* () {
        const collector = new VoteCounts();
        let wrong = false;
        for (let n = 1; n <= votes; n++) {
          yield [{ stage: "estimation", first: n - 1, count: 1, collector }];
          wrong ||= look(collector.counts[0]!, n);
        }
        return wrong;
      },
      [p, 1 - p],
      (wrong) => wrong,
    );

  it("is as rarely too large as alpha says, and not much more rarely", () => {
    let ladder = new RadiusLadder({ sigma: 1, alpha });
    const found = rate((successes, n) => {
      if (n === 1) ladder = new RadiusLadder({ sigma: 1, alpha });
      ladder.look(successes, n);
      return ladder.radius > 0.9999;
    });
    expect(found).toBeLessThan(atMost(alpha, runs));
    expect(found).toBeGreaterThan(0.2 * alpha);
  });

  it("and the simulation notices a bound that is meant for one look", () => {
    expect(rate((s, n) => n % 10 === 0 && clopperPearsonLower(s, n, alpha) > p)).toBeGreaterThan(
      2 * alpha,
    );
  });

  it("comes within a tenth of sigma of the exact one with 10,000 votes, and allows for another law", () => {
    const [n, share] = [10_000, 0.95];
    const ladder = new RadiusLadder({ sigma: 2, alpha: 0.001 });
    const distant = new RadiusLadder({ sigma: 2, alpha: 0.001, totalVariation: 0.01 });
    ladder.look(share * n, n);
    distant.look(share * n, n);
    const exact = 2 * normalQuantile(share);
    expect(ladder.pLower).toBeLessThan(share);
    expect(2 * normalQuantile(ladder.pLower)).toBeCloseTo(ladder.radius, 12);
    expect(ladder.radius).toBeLessThan(exact);
    expect(ladder.radius).toBeGreaterThan(exact - 0.2);
    expect(distant.radius).toBeLessThan(2 * normalQuantile(share - 0.01));
  });
});

describe("createCertifier", () => {
  it("counts each request's own votes, those of certify with its seed, whatever else is under way", async () => {
    const certifier = await createCertifier(slowly(0), { ...base, batchSize: 137 });
    const images = Array.from({ length: 30 }, (_, i) => i / 30);
    const found = await Promise.all(
      images.map((value, i) => certifier.certify([value], { seed: i })),
    );
    for (const [i, value] of images.entries()) {
      const options = { sigma: 0.5, n0: 100, n: 2000, seed: i, numClasses: 2 };
      const alone = await certify(halves, [value], options);
      expect(found[i]!.counts).toEqual(alone.counts);
      expect(found[i]).toMatchObject({ samples: 2100, ended: "samples", seed: i });
      expect(found[i]!.radius).toBeLessThanOrEqual(value);
      expect(found[i]!.radius).toBeLessThanOrEqual(alone.radius + 0.05); // its best moment may have been earlier
      expect(found[i]!.radius).toBeGreaterThanOrEqual(alone.radius - 0.1);
    }
    expect(certifier.pending).toBe(0);
    await certifier.close();
  });

  it("streams radii that only grow, and ends at a radius that suffices", async () => {
    const certifier = await createCertifier(slowly(0), base);
    const results: AnytimeResult[] = [];
    for await (const result of certifier.stream([0.6], { seed: 1 })) results.push(result);
    expect(results.length).toBeGreaterThan(5);
    results.slice(1).forEach((result, i) => {
      expect(result.radius).toBeGreaterThanOrEqual(results[i]!.radius);
      expect(result.samples).toBeGreaterThan(results[i]!.samples);
    });
    expect(results.map(({ ended }) => ended !== "open")).toEqual(
      results.map((_, i) => i === results.length - 1),
    );
    const early = await certifier.certify([0.6], { seed: 1, radius: 0.2 });
    expect(early).toMatchObject({ prediction: 1, ended: "radius", abstained: false });
    expect(early.radius).toBeGreaterThanOrEqual(0.2);
    expect(early.samples).toBeLessThan(1000);
    await certifier.close();
  });

  it("gives the best so far at the deadline, and abstains where that is nothing", async () => {
    const certifier = await createCertifier(slowly(4), { ...base, maxSamples: 1_000_000 });
    const [some, none] = await Promise.all([
      certifier.certify([0.9], { deadline: 400 }),
      certifier.certify([0.9], { deadline: 1 }),
    ]);
    expect(some).toMatchObject({ ended: "deadline", prediction: 1, abstained: false });
    expect(some.radius).toBeGreaterThan(0);
    expect(none).toMatchObject({ ended: "deadline", prediction: -1, abstained: true, radius: 0 });
    expect(certifier.pending).toBe(0);
    await certifier.close();
  });

  it("refuses what is more than maxRequests, and has room again afterwards", async () => {
    const certifier = await createCertifier(slowly(1), { ...base, maxRequests: 3 });
    const runs = await Promise.allSettled(
      Array.from({ length: 5 }, () => certifier.certify([0.9])),
    );
    expect(runs.filter((run) => run.status === "fulfilled")).toHaveLength(3);
    const refused = runs.flatMap((run) => (run.status === "rejected" ? [run.reason] : []));
    for (const error of refused) {
      expect(error).toMatchObject({ code: "unsupported", details: { busy: true } });
      expect(error.message).toContain(
        "3 requests are under way, the most that this certifier takes",
      );
    }
    expect((await certifier.certify([0.9])).prediction).toBe(1);
    await certifier.close();
  });

  it("tells about every so many samples, where asked to", async () => {
    const certifier = await createCertifier(slowly(0), { ...base, maxSamples: 200, batchSize: 8 });
    const seen: number[] = [];
    for await (const { samples, pLower, radius, abstained } of certifier.stream([0], {
      every: 16,
    })) {
      seen.push(samples);
      expect([pLower, radius]).toEqual([0, 0]);
      expect(abstained).toBe(true); // half of the votes, so that the radius never grows
    }
    expect(Math.max(...seen.map((n, i) => n - (seen[i - 1] ?? 0)))).toBeLessThan(24);
    await expect(certifier.certify([0], { every: 0 })).rejects.toThrow("every must be an integer");
  });

  it("lets a request be given up, or its stream be left, without harm to others", async () => {
    const certifier = await createCertifier(slowly(2), base);
    const control = new AbortController();
    const given = certifier.certify([0.9], { signal: control.signal });
    const other = certifier.certify([0.8], { seed: 4 });
    setTimeout(() => control.abort(new Error("gone")), 10);
    await expect(given).rejects.toThrow("gone");
    for await (const _ of certifier.stream([0.9])) break;
    await expect(
      certifier.certify([0.9], { signal: AbortSignal.abort(new Error("before")) }),
    ).rejects.toThrow("before");
    expect((await other).counts).toEqual((await certifier.certify([0.8], { seed: 4 })).counts);
    expect(certifier.pending).toBe(0);
    await certifier.close();
  });

  it("tells all requests of a classifier's error, and goes on with the next", async () => {
    let isBroken = false;
    const classify: ClassifierFunction = async (batch, shape) => {
      if (isBroken) throw new Error("out of memory");
      return slowly(1)(batch, shape);
    };
    const certifier = await createCertifier(classify, base);
    const runs = [certifier.certify([0.9]), certifier.certify([0.8])];
    setTimeout(() => {
      isBroken = true;
    }, 20);
    for (const run of await Promise.allSettled(runs))
      expect(run).toMatchObject({ status: "rejected", reason: { code: "classifier" } });
    isBroken = false;
    expect((await certifier.certify([0.9])).prediction).toBe(1);
    await certifier.close();
  });

  it("refuses a classifier whose rows depend on each other, at once or at the end", async () => {
    const mixing: ClassifierFunction = (batch: Float32Array, [n = 0]: number[]) => {
      const mean = batch.reduce((sum, v) => sum + v) / batch.length;
      return Array.from(batch, (v) => [0, v - mean]).slice(0, n);
    };
    const certifier = await createCertifier(mixing, base);
    await expect(certifier.certify([0.9])).rejects.toThrow("depends on the rows beside it");
    await expect(certifier.certify([0.9])).rejects.toThrow("depends on the rows beside it");
    let calls = 0;
    const later = await createCertifier(
      (b: Float32Array, s: number[]) =>
        ++calls > 10 ? mixing(b, s) : Array.from(b, (v) => [0, v]),
      base,
    );
    await later.certify([0.9]);
    await expect(later.close()).rejects.toThrow("at the end of the run");
  });

  it("is closed after close, which waits for what is under way", async () => {
    const certifier = await createCertifier(slowly(1), base);
    const last = certifier.certify([0.9]);
    await pause(5);
    await certifier.close();
    expect((await last).ended).toBe("samples");
    await expect(certifier.certify([0.9])).rejects.toThrow("this certifier is closed");
  });

  it("serves what was asked for before close, however shortly", async () => {
    const certifier = await createCertifier(halves, { ...base, maxRequests: 2 });
    const asked = [0.9, 0.2].map((x) => certifier.certify([x]));
    expect(certifier.pending).toBe(2);
    await expect(certifier.certify([0.5])).rejects.toMatchObject({ details: { busy: true } });
    await certifier.close();
    expect((await Promise.all(asked)).map(({ ended }) => ended)).toEqual(["samples", "samples"]);
    await expect(certifier.certify([0.9])).rejects.toThrow("this certifier is closed");
  });

  it.each([
    [{ sigma: 0 }, "sigma must be a finite number above 0, got 0"],
    [{ shape: undefined }, "shape must be that of one input, e.g. [28, 28, 1], got undefined"],
    [{ shape: [0] }, "got [0]"],
    [{ alpha: 2 }, "alpha must lie in (0, 1), got 2"],
    [{ maxRequests: 0 }, "maxRequests must be an integer of at least 1, got 0"],
    [{ seed: 1 }, 'unknown option "seed"'],
    [{ distribution: "laplace" }, 'distribution must be "gaussian"'],
  ])("refuses options %o", async (options, message) => {
    await expect(createCertifier(halves, { ...base, ...options } as never)).rejects.toThrow(
      message,
    );
  });

  it.each([
    [[0.9, 0.1], {}, "shape [1] holds 1 numbers, but x has 2"],
    [{ data: [0.9, 0.1], shape: [2] }, {}, "x must have shape [1], got [2]"],
    [[2], {}, "x must lie in [0, 1], got 2"],
    [[0.9], { deadline: 0 }, "deadline must be a finite number above 0, got 0"],
    [[0.9], { deadline: 2 ** 31 }, "deadline must be below 2^31 milliseconds"],
    [[0.9], { timeout: 5 }, 'unknown option "timeout"'],
  ])("refuses a request %o %o", async (x, request, message) => {
    const certifier = await createCertifier(halves, base);
    await expect(certifier.certify(x as never, request as never)).rejects.toThrow(message);
    await certifier.close();
  });
});
