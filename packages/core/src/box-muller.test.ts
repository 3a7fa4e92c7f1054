import { describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import fixture from "./__fixtures__/normals.json" with { type: "json" };
import { naturalLog, toNormals, toUnit } from "./box-muller.ts";

test("toNormals is the exact Box-Muller pair of the words, to 4e-16 of its size and 1e-16 absolute", () => {
  const { words, pairs } = fixture;
  const out = new Float64Array(2 * words.length);
  toNormals(Uint32Array.from(words.flat()), words.length, out);
  expectClose(out, pairs.flat(), { relative: 8e-16, absolute: 1e-16 });
});

test("naturalLog is within 2 units in the last place of the exact logarithm", () => {
  expectClose(fixture.log.u.map(naturalLog), fixture.log.value, { relative: 2 ** -52 });
});

test("toUnit maps all words into (0, 1], the ends included", () => {
  expect(toUnit(0, 0)).toBe(2 ** -65);
  expect(toUnit(0, 1)).toBe(1.5 * 2 ** -64);
  expect(toUnit(2 ** 31, 0)).toBe(0.5);
  expect(toUnit(2 ** 32 - 1, 2 ** 32 - 1)).toBe(1);
});

test("the longest radius is sqrt(130 log 2) = 9.493, the shortest 0", () => {
  const out = new Float64Array(4);
  toNormals(Uint32Array.of(0, 0, 0, 0, 0xffffffff, 0xffffffff, 0, 0), 2, out);
  expectClose(out.slice(0, 1), [Math.sqrt(130 * Math.LN2)], { relative: 4e-16 });
  expect(Math.abs(out[2]!) + Math.abs(out[3]!)).toBe(0);
});

describe("beyond 6.66, where the first word is 0", () => {
  // |z| > t >= 6.66 needs a radius above 6.66, so u < 2^-32, so a first word 0. With that word held
  // at 0, P(|z| > t) is 2^32 times what it is: far tails in a second.
  const blocks = 4_000_000;
  const counts = new Map(["7", "7.5", "8", "8.5"].map((t) => [t, 0]));
  const words = new Uint32Array(4 * 1000);
  const out = new Float64Array(2 * 1000);
  let state = 12345;
  for (let done = 0; done < blocks; done += 1000) {
    for (let i = 0; i < words.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      const mixed = Math.imul(state ^ (state >>> 15), 0x85ebca6b);
      words[i] = i % 4 === 0 ? 0 : mixed ^ (mixed >>> 13);
    }
    toNormals(words, 1000, out);
    for (const z of out)
      if (z > 7 || z < -7)
        for (const t of counts.keys())
          if (Math.abs(z) > Number(t)) counts.set(t, counts.get(t)! + 1);
  }

  test.each([...counts.keys()])("P(|z| > %s) is that of the normal law", (t) => {
    const expected = fixture.upperTail[t as "7"] * 2 ** 32 * 2 * blocks;
    // the two normals of a block share their radius: at most twice the Poisson variance
    expect(Math.abs(counts.get(t)! - expected)).toBeLessThan(5 * Math.sqrt(2 * expected) + 1);
  });
});
