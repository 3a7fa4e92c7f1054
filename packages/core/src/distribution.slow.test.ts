import { expect, test } from "vitest";
import fixture from "./__fixtures__/normals.json" with { type: "json" };
import { key } from "./key.ts";
import { normal } from "./normal.ts";

test("4 x 10^9 normals exceed 3, 4, 5 and 6 sigma as often as the law says, on both sides", () => {
  const total = 4e9;
  const out = new Float32Array(1_000_000);
  const thresholds = [3, 4, 5, 6] as const;
  const above = [0, 0, 0, 0];
  const below = [0, 0, 0, 0];
  for (let index = 0; index < total / out.length; index++) {
    normal(key("tails"), out, { index });
    for (let i = 0; i < out.length; i++) {
      const z = out[i]!;
      if (z > 3) for (let k = 0; k < 4 && z > thresholds[k]!; k++) above[k]!++;
      else if (z < -3) for (let k = 0; k < 4 && -z > thresholds[k]!; k++) below[k]!++;
    }
  }
  thresholds.forEach((t, k) => {
    const expected = (fixture.upperTail[`${t}`] / 2) * total;
    // float32 rounding moves no more than 1e-6 of the mass over a threshold
    const slack = 5 * Math.sqrt(expected) + 1e-6 * expected;
    expect(Math.abs(above[k]! - expected), `above ${t}`).toBeLessThan(slack);
    expect(Math.abs(below[k]! - expected), `below -${t}`).toBeLessThan(slack);
  });
});
