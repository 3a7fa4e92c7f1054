import { describe, expect, it } from "vitest";
import { refusals } from "../__fixtures__/refusals.ts";

describe("class ids that depend on the batch", () => {
  it("are noticed in all of 60 nets with batch normalization in training mode", async () => {
    expect(await refusals("batch normalization", "net", 60)).toMatchObject({ refused: 60 });
  });
  it.each([
    ["mean over the batch", 20],
    ["maximum over the batch", 20],
    ["softmax over the batch", 10],
    ["rank in the batch", 18],
  ] as const)("are noticed for %s", async (coupling, least) => {
    const count = coupling === "softmax over the batch" ? 10 : 20;
    expect((await refusals(coupling, "net", count)).refused).toBeGreaterThanOrEqual(least);
  });

  it("never are where rows are independent, also where rounding differs between batches", async () => {
    for (const rounding of [0, 1e-6, 1e-3]) {
      const { refused, rows } = await refusals("none", "net", 60, rounding);
      expect(refused).toBe(0);
      if (rounding === 0) expect(rows).toBeLessThanOrEqual(101); // 1 % of 10,100 samples
    }
  });
});
