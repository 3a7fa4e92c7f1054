import fc from "fast-check";
import { expect, test } from "vitest";
import { DmaeError } from "./errors.ts";
import { foldIn, type Key, key, split } from "./key.ts";
import { philox4x32 } from "./philox.ts";

const keys = fc.record({
  high: fc.integer({ min: 0, max: 0xffffffff }),
  low: fc.integer({ min: 0, max: 0xffffffff }),
});
const text = ({ high, low }: Key) => `${high}/${low}`;

test("key is the seed itself for numbers, 0 included, and the same for bigints", () => {
  expect(key(0)).toEqual({ high: 0, low: 0 });
  expect(key(5)).toEqual({ high: 0, low: 5 });
  expect(key(2 ** 32 + 7)).toEqual({ high: 1, low: 7 });
  expect(key(Number.MAX_SAFE_INTEGER)).toEqual({ high: 0x1fffff, low: 0xffffffff });
  expect(key(2n ** 64n - 1n)).toEqual({ high: 0xffffffff, low: 0xffffffff });
  fc.assert(
    fc.property(fc.maxSafeNat(), (seed) => {
      expect(key(BigInt(seed))).toEqual(key(seed));
    }),
  );
});

test("foldIn of a number and split are the first words of one Philox block of their own domain", () => {
  const parent = { high: 9, low: 8 };
  const [low, high] = philox4x32([3, 4, 0, 0], [8, 9]);
  const [low2, high2] = philox4x32([3, 3, 0, 0], [8, 9]);
  expect(foldIn(parent, 3)).toEqual({ high, low });
  expect(split(parent, 4)[3]).toEqual({ high: high2, low: low2 });
});

test("derived keys never change", () => {
  expect(key("dmae")).toMatchInlineSnapshot(`
    {
      "high": 1066834557,
      "low": 2303205776,
    }
  `);
  expect(key("")).toMatchInlineSnapshot(`
    {
      "high": 2216054256,
      "low": 816500761,
    }
  `);
  expect(foldIn(key(0), 0)).toMatchInlineSnapshot(`
    {
      "high": 1213977388,
      "low": 1290539824,
    }
  `);
  expect(foldIn(key(0), 2 ** 40 + 1)).toMatchInlineSnapshot(`
    {
      "high": 3295842730,
      "low": 2709259326,
    }
  `);
  expect(foldIn(key(1), "estimation")).toMatchInlineSnapshot(`
    {
      "high": 1801816965,
      "low": 1666305060,
    }
  `);
  expect(split(key(1), 2)).toMatchInlineSnapshot(`
    [
      {
        "high": 2600025132,
        "low": 3925146320,
      },
      {
        "high": 3041843876,
        "low": 2362330594,
      },
    ]
  `);
});

test("split does not depend on the count", () => {
  fc.assert(
    fc.property(keys, fc.nat(50), fc.nat(50), (parent, a, b) => {
      expect(split(parent, a + b).slice(0, a)).toEqual(split(parent, a));
    }),
  );
});

test("100,000 derived keys are distinct from each other", () => {
  const parent = key(1);
  const all = new Set(split(parent, 40_000).map(text));
  for (let i = 0; i < 30_000; i++) {
    all.add(text(foldIn(parent, i)));
    all.add(text(foldIn(parent, String(i))));
  }
  expect(all.size).toBe(100_000);
});

test("strings that differ give different keys: lengths, zero bytes, order of chunks", () => {
  const strings = [
    "",
    "\0",
    "\0\0",
    "a",
    "a\0",
    "a\0\0\0\0\0\0\0",
    "a\0\0\0\0\0\0\0\0",
    "ä",
    "abcdefgh",
  ];
  strings.push("abcdefghijklmnop", "ijklmnopabcdefgh", "abcdefghabcdefgh", "abcdefg", "bcdefgh");
  expect(new Set(strings.map((name) => text(foldIn(key(3), name)))).size).toBe(strings.length);
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(text(key(a)) === text(key(b))).toBe(a === b);
    }),
  );
});

test("one bit more in the data changes half of the key's bits", () => {
  let flipped = 0;
  for (let i = 0; i < 1000; i++) {
    const a = foldIn(key(7), 2 * i);
    const b = foldIn(key(7), 2 * i + 1);
    for (let x = (a.low ^ b.low) >>> 0; x > 0; x = (x & (x - 1)) >>> 0) flipped++;
  }
  expect(Math.abs(flipped / 1000 - 16)).toBeLessThan(5 * Math.sqrt(8 / 1000));
});

test.each([
  [-1, "got -1"],
  [0.5, "got 0.5"],
  [Number.NaN, "got NaN"],
  [2 ** 53, "got 9007199254740992"],
  [-1n, "got -1n"],
  [2n ** 64n, "got 18446744073709551616n"],
  [undefined, "got undefined"],
  [null, "got null"],
  [{}, "got {}"],
])("key(%s) is refused", (seed, got) => {
  expect(() => key(seed as number)).toThrow(DmaeError);
  expect(() => key(seed as number)).toThrow(
    `key: the seed must be an integer in [0, 2^53), a bigint in [0, 2^64) or a string, ${got}`,
  );
});

test("split and foldIn say what is wrong with their arguments", () => {
  expect(() => split(key(0), -1)).toThrow("split: count must be an integer in [0, 2^53), got -1");
  expect(() => split(key(0), 2 ** 32)).toThrow("split: count must lie below 2^32, got 4294967296");
  expect(() => foldIn(key(0), 1.5)).toThrow(
    "foldIn: data, where it is not a string, must be an integer in [0, 2^53), got 1.5",
  );
  expect(() => foldIn(17 as never, 1)).toThrow(
    "foldIn: the first argument must be a key, got 17; make one with key(seed)",
  );
  expect(() => split({ high: 1, low: -1 }, 1)).toThrow(
    'split: the first argument must be a key, got {"high":1,"low":-1}; make one with key(seed)',
  );
  expect(() => foldIn(undefined as never, 1)).toThrow("got undefined; make one with key(seed)");
});
