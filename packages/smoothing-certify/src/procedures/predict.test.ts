import { describe, expect, it } from "vitest";
import { halves } from "../__fixtures__/steps.ts";
import { noiseSource } from "../noise/noise.ts";
import { soundNoise } from "../noise/sound-noise.ts";
import { binomialPValue } from "../statistics/binomial.ts";
import { binomialExceeds, binomialQuantile } from "../statistics/binomial-quantile.ts";
import { certify } from "./certify.ts";
import { predict } from "./predict.ts";

const base = { sigma: 0.25, seed: 3, numClasses: 2, n: 500 };
const distant = (distance: number) => ({
  ...noiseSource({ sigma: 0.25, seed: 3 }),
  totalVariation: (dimension: number) => distance * dimension,
});

describe("predict with noise whose law is only close to the exact one", () => {
  it("moves votes for a tenth of alpha and adds the probability that more differ", async () => {
    const plain = await predict(halves, [0.05], base);
    const [b = 0, a = 0] = plain.counts;
    expect(plain.pValue).toBe(binomialPValue(a, b));
    for (const distance of [1e-12, 1e-6, 1e-3, 0.01]) {
      const result = await predict(halves, [0.05], { ...base, noise: distant(distance) });
      expect(result.counts).toEqual(plain.counts);
      const moved = binomialQuantile(500, distance, 1e-4);
      expect(moved).toBe({ 1e-12: 0, 1e-6: 1, 1e-3: 5, 0.01: 15 }[distance]);
      const want = binomialPValue(a - moved, b + moved) + binomialExceeds(moved, 500, distance);
      expect(result.pValue / want - 1).toBeCloseTo(0, 14);
      expect(result.pValue).toBeGreaterThanOrEqual(want);
    }
  });

  it("abstains where the distance could have made the difference", async () => {
    const at = (distance: number) => predict(halves, [0.1], { ...base, noise: distant(distance) });
    expect((await at(0)).prediction).toBe(1); // 66 % of the votes
    expect(await at(0.2)).toMatchObject({ prediction: -1, abstained: true, pValue: 1 });
    expect((await at(1)).pValue).toBe(1);
  });

  it("with sound noise the p-value is above that of its votes", async () => {
    const result = await predict(halves, [13 / 255], { ...base, sound: true });
    const [b = 0, a = 0] = result.counts;
    expect(result.pValue).toBeGreaterThan(binomialPValue(a, b));
    expect(result.pValue).toBeLessThan(binomialPValue(a, b) + 1e-10);
  });
});

describe("a source of noise", () => {
  it.each([-0.01, 1.5, Number.NaN])("with a distance of %s is refused", async (distance) => {
    await expect(predict(halves, [0.5], { ...base, noise: distant(distance) })).rejects.toThrow(
      "the noise's totalVariation must lie in [0, 1], got",
    );
  });

  it("that is not sound is refused where sound noise is asked for", async () => {
    const noise = noiseSource({ sigma: 0.25, seed: 3 });
    await expect(certify(halves, [0.2], { ...base, sound: true, noise })).rejects.toThrow(
      "certify: sound must be left out with noise that is not sound (philox4x32-10/gaussian)",
    );
    const sound = soundNoise({ sigma: 0.25, seed: 3 });
    const both = { ...base, sound: true, noise: sound };
    expect((await certify(halves, [0.2], both)).prediction).toBe(1);
  });
});
