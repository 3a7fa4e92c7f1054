import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { halves, steps } from "../__fixtures__/steps.ts";
import { inWorkers } from "../classifier/classifier-workers.ts";
import { certificate } from "../statistics/certificate.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { certifiedRadius } from "../statistics/radius.ts";
import { certify } from "./certify.ts";
import { certifyAtRadius } from "./certify-at-radius.ts";
import { preflight } from "./preflight.ts";

describe("preflight", () => {
  const options = { seed: 0, sigma: 0.25, n: 1000 };

  it("finds nothing to warn of where nothing is wrong", async () => {
    const report = await preflight(halves, steps(100), { ...options, radius: 0.5 });
    expect(report).toMatchObject({
      images: 16,
      warnings: [],
      cleanAccuracy: 1,
      pixels: [0, Math.fround(0.93)],
    });
    expect(report.largestRadius).toBe(
      certifiedRadius(clopperPearsonLower(1000, 1000, 0.001), 0.25),
    );
    expect(report.noisyAccuracy).toBeGreaterThan(0.7);
  });

  it("knows the largest radius of the run's noise, norm and bound", async () => {
    for (const more of [
      { distribution: "laplace" },
      { distribution: "uniform", norm: "linf" },
      { bound: "two-class" },
    ] as const) {
      const { largestRadius } = await preflight(halves, steps(100), { ...options, ...more });
      const settings = { sigma: 0.25, alpha: 0.001, dimension: 1, ...more };
      expect(largestRadius).toBe(certificate(settings, [1], [1000, 0]).radius);
    }
  });

  it("says which radius n cannot reach, and where n is too small for anything", async () => {
    const { warnings } = await preflight(halves, steps(100), { ...options, radius: 0.7 });
    expect(warnings).toEqual([
      "n = 1000 samples reach at most radius 0.6158 at sigma = 0.25 and alpha = 0.001, so radius 0.7 cannot be certified.",
    ]);
    const few = await preflight(halves, steps(100), { seed: 0, sigma: 0.25, n: 9 });
    expect(few.warnings[0]).toBe(
      "n = 9 samples can never certify anything at alpha = 0.001, even if all agree: it takes 10.",
    );
    expect((await preflight(halves, steps(100), { seed: 0, sigma: 0.25, n: 10 })).warnings).toEqual(
      [],
    );
    const twoClass = { seed: 0, sigma: 0.25, n: 10, bound: "two-class" } as const;
    expect((await preflight(halves, steps(100), twoClass)).warnings[0]).toMatch(/it takes 11\.$/);
  });

  it("knows the samples and the share of alpha of other procedures than CERTIFY", async () => {
    const atRadius = { sigma: 0.25, maxSamples: 1000, radius: 0.61 };
    const { warnings, largestRadius } = await preflight(halves, steps(100), {
      ...atRadius,
      mode: "evaluate",
    });
    expect(warnings[0]).toContain("so radius 0.61 cannot be certified");
    await expect(certifyAtRadius(halves, [0.9], atRadius)).rejects.toThrow(
      "1000 samples cannot certify radius 0.61",
    );
    expect(largestRadius).toBe(certifiedRadius(clopperPearsonLower(1000, 1000, 0.0005), 0.25));
    const adaptive = { sigma: 0.25, relativeWidth: 0.05, radius: 0.85 };
    expect((await preflight(halves, steps(100), adaptive)).warnings).toEqual([]); // 100,000 samples at most
  });

  it("notices classes in another order, one class only, foreign units and collapse under noise", async () => {
    const swapped = (batch: Float32Array, shape: number[]) =>
      halves(batch, shape).map((c) => 1 - c);
    expect((await preflight(swapped, steps(100), options)).warnings[0]).toContain(
      "about chance: check the order of the classes",
    );
    const constant = (_: Float32Array, [n = 0]: number[]) => new Int32Array(n).fill(1);
    expect((await preflight(constant, steps(100), options)).warnings).toEqual([
      "All 16 images are predicted as class 1.",
    ]);
    const bytes = {
      ...steps(100),
      get: (i: number) => ({ image: Float32Array.of(i + 1), label: i < 3 ? 0 : 1 }),
    };
    expect((await preflight(halves, bytes, options)).warnings[0]).toContain(
      "Pixels reach 94, far above sigma = 0.25",
    );
    const sharp = (batch: Float32Array, [n = 0]: number[]) =>
      Int32Array.from({ length: n }, (_, i) =>
        Math.abs(batch[i]! * 100 - Math.round(batch[i]! * 100)) < 1e-4 ? 1 : 0,
      );
    expect((await preflight(sharp, steps(100), options)).warnings[0]).toMatch(
      /Accuracy falls from \d+ % to \d+ % under noise/,
    );
  });
});

describe("inWorkers", () => {
  const module = new URL("../__fixtures__/halves.mjs", import.meta.url);

  it("counts the votes of the classifier in this thread", async () => {
    const options = { seed: 0, sigma: 0.5, n: 500, numClasses: 2, batchSize: 33 };
    const want = await certify(halves, [0.2], options);
    for (const [workers, name] of [
      [1, "default"],
      [3, "default"],
      [2, "logits"],
    ] as const) {
      const classifier = await inWorkers(workers === 1 ? fileURLToPath(module) : module, {
        workers,
        export: name,
      });
      expect(await certify(classifier, [0.2], options)).toEqual(want);
      await classifier.dispose();
    }
  });

  it("passes errors on", async () => {
    const options = { seed: 0, sigma: 0.5, n: 20, numClasses: 2 };
    for (const [name, message] of [
      ["broken", "the classifier threw: no such weights"],
      ["foo", "no classifier is exported as foo"],
    ] as const) {
      const classifier = await inWorkers(module, { workers: 2, export: name });
      await expect(certify(classifier, [0.2], options)).rejects.toThrow(message);
      await classifier.dispose();
    }
    const missing = await inWorkers("nowhere.mjs", { workers: 1 });
    await expect(certify(missing, [0.2], options)).rejects.toThrow("nowhere.mjs");
    await missing.dispose();
  });
});
