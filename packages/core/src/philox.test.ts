import { expect, test } from "vitest";
import { fillWords, philox4x32 } from "./philox.ts";

/** Rows "philox4x32 10" of `tests/kat_vectors` of Random123 1.14: counter, key, expected words. */
const knownAnswers = [
  [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  ],
] as const;

const hex = (words: ArrayLike<number>) =>
  Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(" ");

test.each(knownAnswers)(
  "philox4x32 of %j under %j is the published answer",
  (counter, key, answer) => {
    expect(hex(philox4x32(counter, key))).toBe(answer);
  },
);

test("philox4x32 equals the definition with 64-bit products for many counters and keys", () => {
  let state = 1n;
  const next = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n);
  };
  for (let i = 0; i < 2000; i++) {
    const counter = [next(), next(), next(), next()] as const;
    const key = [next(), next()] as const;
    expect(hex(philox4x32(counter, key))).toBe(hex(byDefinition(counter, key)));
  }
});

function byDefinition(counter: readonly number[], key: readonly number[]): number[] {
  let [x0, x1, x2, x3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  const mask = 0xffffffffn;
  for (let round = 0n; round < 10n; round++) {
    const k0 = (BigInt(key[0]!) + round * 0x9e3779b9n) & mask;
    const k1 = (BigInt(key[1]!) + round * 0xbb67ae85n) & mask;
    const p0 = 0xd2511f53n * x0;
    const p1 = 0xcd9e8d57n * x2;
    [x0, x1, x2, x3] = [(p1 >> 32n) ^ x1 ^ k0, p1 & mask, (p0 >> 32n) ^ x3 ^ k1, p0 & mask];
  }
  return [x0, x1, x2, x3].map(Number);
}

test("consecutive blocks are those of consecutive counters, over the 32-bit edge too", () => {
  const at = { keyLow: 3, keyHigh: 4, domain: 5, indexLow: 6, indexHigh: 7 };
  const words = new Uint32Array(12);
  fillWords(words, at, 0xfffffffe, 3);
  const single = [0xfffffffe, 0xffffffff, 0].map((block) =>
    hex(philox4x32([block, 5, 6, 7], [3, 4])),
  );
  expect(hex(words)).toBe(single.join(" "));
});
