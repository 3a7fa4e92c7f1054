import { expect, it } from "vitest";
import { halves } from "../__fixtures__/steps.ts";
import { certify } from "../procedures/certify.ts";
import { BatchSizer } from "./batch-sizer.ts";

/** Runs a sizer on a model that takes `seconds(rows)` for a batch; the sizes it went through. */
function sizes(sizer: BatchSizer, seconds: (rows: number) => number): number[] {
  return Array.from({ length: 30 }, () => {
    const { size } = sizer;
    sizer.record(size, seconds(size));
    return size;
  });
}

it("doubles the batch while rows get faster, then stays at the best", () => {
  // 1 ms a batch and 0.1 ms a row, and twice the time a row beyond 64 rows
  const seconds = (rows: number) => (1 + (rows > 64 ? 0.2 : 0.1) * rows) / 1000;
  const went = sizes(new BatchSizer(512, true), seconds);
  expect(went.slice(0, 8)).toEqual([16, 16, 32, 32, 64, 64, 128, 128]);
  expect(new Set(went.slice(8))).toEqual(new Set([64]));
});

it("keeps below the limit, below two seconds a batch, and to a size that was given", () => {
  expect(sizes(new BatchSizer(100, true), (rows) => 1 / rows).at(-1)).toBe(64);
  expect(sizes(new BatchSizer(512, true), () => 3).at(-1)).toBe(16);
  expect(new Set(sizes(new BatchSizer(12, true), () => 1))).toEqual(new Set([12]));
  expect(new Set(sizes(new BatchSizer(100, false), () => 1))).toEqual(new Set([100]));
});

it("ignores batches that are not full", () => {
  const sizer = new BatchSizer(512, true);
  for (let i = 0; i < 10; i++) sizer.record(3, 1e-9);
  expect(sizer.size).toBe(16);
});

it("auto keeps within the memory limit", async () => {
  const seen: number[] = [];
  const spy = (batch: Float32Array, shape: number[]) => {
    seen.push(shape[0]!);
    return halves(batch, [shape[0]!]);
  };
  const x = new Float32Array(1000);
  await certify(spy, x, {
    seed: 0,
    sigma: 1,
    n: 3000,
    numClasses: 2,
    memoryLimit: 40 * 16_000,
    checkRows: false,
  });
  expect(Math.max(...seen)).toBeLessThanOrEqual(40);
  expect(seen[0]).toBe(16);
});
