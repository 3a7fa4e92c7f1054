import { key } from "@dmae/core";
import { expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { normalInit, ones, truncatedNormal, xavierUniform, zeros } from "./layers.ts";

const moments = (data: ArrayLike<number>) => {
  const values = Array.from(data);
  const mean = values.reduce((s, x) => s + x, 0) / values.length;
  const variance = values.reduce((s, x) => s + (x - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance), largest: Math.max(...values.map(Math.abs)) };
};

test("xavierUniform: limit sqrt(6 / (fanIn + fanOut)) and a uniform's moments", () => {
  const { mean, std, largest } = moments(xavierUniform(key(1), [100, 20, 5, 5]).data);
  const limit = Math.sqrt(6 / (100 + 500));
  expect(largest).toBeLessThanOrEqual(limit);
  expect(largest).toBeGreaterThan(0.999 * limit);
  expectClose([std], [limit / Math.sqrt(3)], { relative: 0.01 }); // 5 standard errors
  expectClose([mean], [0], { absolute: 0.0015 });
});

test("normalInit: mean 0 and the given deviation", () => {
  const { mean, std } = moments(normalInit(key(2), [50_000], 0.02).data);
  expectClose([mean, std], [0, 0.02], { absolute: 0.0004 });
});

test("truncatedNormal: the limit is absolute, and what lies beyond is drawn again", () => {
  const { std, largest } = moments(truncatedNormal(key(3), [50_000], 1).data);
  expect(largest).toBeLessThanOrEqual(2);
  expect(largest).toBeGreaterThan(1.99);
  expectClose([std], [0.8796], { relative: 0.015 }); // standard deviation of N(0, 1) cut at 2
  const tiny = truncatedNormal(key(3), [1000], 2e-5);
  expect(tiny.data).toEqual(normalInit(key(3), [1000], 2e-5).data);
  expect(() => truncatedNormal(key(3), [1], 1, 0.01)).toThrow(/limit must be at least std \/ 10/);
});

test("draws follow from the key and the position, not from the length", () => {
  const long = xavierUniform(key(5), [4, 8]);
  expect(xavierUniform(key(5), [4, 8])).toEqual(long);
  expect(xavierUniform(key(6), [4, 8])).not.toEqual(long);
  expect(normalInit(key(5), [10], 1).data).toEqual(normalInit(key(5), [20], 1).data.slice(0, 10));
});

test("zeros, ones, and a shape without an input axis", () => {
  expect(zeros([2])).toEqual({ dtype: "float32", shape: [2], data: new Float32Array(2) });
  expect(Array.from(ones([1, 2]).data)).toEqual([1, 1]);
  expect(() => xavierUniform(key(1), [3])).toThrow(/needs an output and an input axis, got \[3\]/);
});
