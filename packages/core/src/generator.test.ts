import fc from "fast-check";
import { expect, test } from "vitest";
import { generator, permutation } from "./generator.ts";
import { foldIn, key, split } from "./key.ts";

test("generator repeats itself for a key and differs for another", () => {
  const first = (seed: number) => Array.from({ length: 5 }, generator(key(seed)));
  expect(first(0)).toEqual(first(0));
  expect(first(0)).not.toEqual(first(1));
  expect(first(0)).not.toEqual(first(2 ** 32));
});

test("generator and permutation never change", () => {
  const next = generator(key(2024));
  expect([next(), next(), next()]).toMatchInlineSnapshot(`
    [
      0.7598533823524983,
      0.5356294640069282,
      0.19944070434958483,
    ]
  `);
  expect([...permutation(key(2024), 12)]).toMatchInlineSnapshot(`
    [
      6,
      2,
      8,
      0,
      7,
      4,
      10,
      3,
      11,
      1,
      5,
      9,
    ]
  `);
});

test("generator is uniform: mean, variance and 64 bins of 400,000 values over 400 keys", () => {
  const counts = new Array<number>(64).fill(0);
  let sum = 0;
  let squares = 0;
  for (const stream of split(key(1), 400)) {
    const next = generator(stream);
    for (let i = 0; i < 1000; i++) {
      const u = next();
      sum += u;
      squares += u * u;
      counts[Math.floor(64 * u)]!++;
    }
  }
  const n = 400_000;
  expect(Math.abs(sum / n - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
  expect(Math.abs(squares / n - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n));
  const chiSquare = counts.reduce((total, count) => total + (count - n / 64) ** 2 / (n / 64), 0);
  expect(Math.abs(chiSquare - 63)).toBeLessThan(5.5 * Math.sqrt(126));
});

test("permutation holds every index once", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(300), (seed, size) => {
      const sorted = permutation(key(seed), size).slice().sort();
      expect(sorted).toEqual(Uint32Array.from({ length: size }, (_, i) => i));
    }),
  );
});

test("each of the 24 orders of four is equally likely", () => {
  const counts = new Map<string, number>();
  const n = 24_000;
  for (let i = 0; i < n; i++) {
    const order = permutation(foldIn(key(3), i), 4).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(24);
  const chiSquare = [...counts.values()].reduce((sum, c) => sum + (c - 1000) ** 2 / 1000, 0);
  expect(chiSquare).toBeLessThan(23 + 5.5 * Math.sqrt(46));
});

test("bad arguments are refused", () => {
  expect(() => generator(3 as never)).toThrow(
    "generator: the first argument must be a key, got 3; make one with key(seed)",
  );
  expect(() => permutation(key(0), -1)).toThrow(
    "permutation: size must be an integer in [0, 2^53), got -1",
  );
  expect(() => permutation(key(0), 2 ** 32)).toThrow("permutation: size must lie below 2^32");
});
