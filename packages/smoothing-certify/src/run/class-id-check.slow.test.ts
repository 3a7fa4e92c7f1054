import { describe, expect, it } from "vitest";
import { refusals } from "../__fixtures__/refusals.ts";

describe("class ids that depend on the batch, in nets of other seeds", () => {
  it.each([
    ["batch normalization", 200, 0.95],
    ["mean over the batch", 100, 0.95],
    ["maximum over the batch", 100, 0.95],
    ["softmax over the batch", 30, 0.95],
    ["rank in the batch", 100, 0.9],
    ["dynamic quantization", 100, 0.7],
  ] as const)(
    "%s: %d nets",
    async (coupling, count, least) => {
      const { refused } = await refusals(coupling, "fresh", count);
      expect(refused / count).toBeGreaterThanOrEqual(least);
    },
    600_000,
  );

  it("there is no false alarm in 300 nets, at three sizes of rounding", async () => {
    for (const rounding of [1e-6, 1e-5, 1e-4])
      expect((await refusals("none", "fresh", 300, rounding)).refused).toBe(0);
  }, 600_000);
});
