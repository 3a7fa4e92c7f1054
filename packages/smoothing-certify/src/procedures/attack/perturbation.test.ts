import { expect, it } from "vitest";
import { distance, moved } from "./perturbation.ts";

it("moves within the range, whose ends need be no float32", () => {
  const x = Float32Array.of(2.5, -2, 0);
  const range = [-2.1179, 2.64] as const; // of images normalised as ImageNet's
  for (const norm of ["l2", "linf"] as const) {
    const [high, low, middle] = moved(x, Float64Array.of(1, -1, 0.5), 9, norm, range);
    expect(high).toBeLessThanOrEqual(2.64);
    expect(high).toBeGreaterThan(2.6399);
    expect(low).toBeGreaterThanOrEqual(-2.1179);
    expect(low).toBeLessThan(-2.1178);
    expect(middle).toBe(0.5);
  }
  const toZero = moved(Float32Array.of(-1), Float64Array.of(3), 9, "linf", [-2, -1e-60]);
  expect(toZero[0]).toBeLessThan(0);
  expect(moved(x, new Float64Array(3).fill(9), 9, "linf", [-3, 3])).toEqual(
    Float32Array.of(3, 3, 3),
  );
});

it("measures a distance that is never below the true one, over many equal changes", () => {
  const count = 150_528;
  const from = new Float32Array(count);
  for (const change of [1 / 255, 0.1, 1 / 3, 0.7].map(Math.fround)) {
    const to = new Float32Array(count).fill(change);
    const exact = change * Math.sqrt(count); // 24 bits of the change: the product is off by 2^-53 at most
    const found = distance(from, to, "l2");
    expect(found).toBeGreaterThan(exact * (1 + 2 ** -52));
    expect(found).toBeLessThan(exact * (1 + 1e-10));
  }
});
