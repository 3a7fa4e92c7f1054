import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DmaeError } from "./errors.ts";
import { type Key, key } from "./key.ts";
import { laplace } from "./laplace.ts";
import { normal } from "./normal.ts";
import { uniform } from "./uniform.ts";

const draws = { normal, uniform, laplace };
const names = Object.keys(draws) as (keyof typeof draws)[];
const keys = fc.record({
  high: fc.integer({ min: 0, max: 0xffffffff }),
  low: fc.integer({ min: 0, max: 0xffffffff }),
});
const indices = fc.oneof(fc.nat(10), fc.maxSafeNat());

describe.each(names)("%s", (name) => {
  const draw = (at: Key, size: number, options = {}) =>
    draws[name](at, new Float64Array(size), options);

  test("any stretch of a draw is that stretch of the whole", () => {
    fc.assert(
      fc.property(keys, indices, fc.nat(3000), fc.nat(1500), (at, index, start, length) => {
        const whole = draw(at, start + length, { index });
        expect(draw(at, length, { index, start })).toEqual(whole.subarray(start));
      }),
      { numRuns: 60 },
    );
  });

  test("a length gives a new Float32Array of the rounded float64 values", () => {
    const double = draw(key(4), 2500, { index: 9 });
    const single = draws[name](key(4), 2500, { index: 9 });
    expect(single).toBeInstanceOf(Float32Array);
    const half = 1 - 2 ** -24; // the largest float32 below 1, which uniforms do not exceed
    const rounded = double.map((v) => (name === "uniform" ? Math.min(v, half) : v));
    expect(single).toEqual(Float32Array.from(rounded));
  });

  test("an array given is filled and returned; elements beyond a view are left alone", () => {
    const buffer = new Float32Array(12).fill(7);
    const view = buffer.subarray(3, 9);
    expect(draws[name](key(1), view)).toBe(view);
    expect([...buffer.slice(0, 3), ...buffer.slice(9)]).toEqual([7, 7, 7, 7, 7, 7]);
    expect(view).toEqual(draws[name](key(1), 6));
  });

  test("indices and keys give draws of their own, the high words too", () => {
    const first = draw(key(1), 8);
    const others = [
      draw(key(1), 8, { index: 1 }),
      draw(key(1), 8, { index: 2 ** 32 }),
      draw(key(1), 8, { index: 2 ** 52 }),
      draw(key(2), 8),
      draw(key(2n ** 32n + 1n), 8),
    ];
    const all = new Set([...first, ...others.flatMap((values) => [...values])]);
    expect(all.size).toBe(48);
  });

  test("a draw of no elements is empty", () => {
    expect(draws[name](key(1), 0)).toEqual(new Float32Array(0));
  });

  test.each([
    [
      [undefined, 3],
      `${name}: the first argument must be a key, got undefined; make one with key(seed)`,
    ],
    [[0, 3], `${name}: the first argument must be a key, got 0; make one with key(seed)`],
    [[key(0), -1], "a number of elements, a Float32Array or a Float64Array, got -1"],
    [[key(0), [0, 0]], "a number of elements, a Float32Array or a Float64Array, got an array"],
    [[key(0), 3, { index: -1 }], `${name}: index must be an integer in [0, 2^53), got -1`],
    [[key(0), 3, { index: 1.5 }], `${name}: index must be an integer in [0, 2^53), got 1.5`],
    [[key(0), 3, { start: Number.NaN }], `${name}: start must be an integer in [0, 2^53), got NaN`],
    [
      [key(0), 3, { start: 2 ** 33 - 2 }],
      `${name}: a draw has at most 2^33 elements, got start 8589934590 + length 3; use another index`,
    ],
  ])("refuses %j", (args, message) => {
    const call = () => (draws[name] as (...args: unknown[]) => unknown)(...args);
    expect(call).toThrow(DmaeError);
    expect(call).toThrow(message);
  });
});

test("the numbers never change", () => {
  const options = { index: 3, start: 1 };
  const some = (draw: typeof normal) => [...draw(key(2024), new Float64Array(4), options)];
  expect(some(normal)).toMatchInlineSnapshot(`
    [
      -0.27379570663109837,
      0.7318265343071088,
      -0.6579781566659777,
      -0.6997424686187946,
    ]
  `);
  expect(some(uniform)).toMatchInlineSnapshot(`
    [
      0.06507906010497677,
      0.9730697085089784,
      0.7510197671478437,
      0.21656009759749595,
    ]
  `);
  expect(some(laplace)).toMatchInlineSnapshot(`
    [
      -0.49896989841228945,
      -0.5203531684476139,
      -0.7750616533998558,
      3.136667138555927,
    ]
  `);
  expect([...normal(key(0), 3)]).toMatchInlineSnapshot(`
    [
      0.39490967988967896,
      1.261821985244751,
      -0.12599752843379974,
    ]
  `);
  const long = normal(key(1), new Float64Array(100_000), { index: 7 });
  let hash = 0n;
  for (const bits of new BigUint64Array(long.buffer))
    hash = BigInt.asUintN(64, (hash ^ bits) * 0x100000001b3n);
  expect(hash.toString(16)).toMatchInlineSnapshot(`"6f3577c56dade674"`);
});

describe("normal's mean and standardDeviation", () => {
  test("are applied in float64 and rounded once, whatever their kinds", () => {
    const z = normal(key(3), new Float64Array(1500), { index: 2 });
    const means = Float32Array.from(z, (_, i) => Math.sin(i));
    const cases = [0.3, means, Float64Array.from(means, (m) => m / 3)];
    for (const mean of cases) {
      const exact = z.map(
        (value, i) => (typeof mean === "number" ? mean : mean[i]!) + 0.25 * value,
      );
      const options = { index: 2, mean, standardDeviation: 0.25 };
      expect(normal(key(3), new Float64Array(1500), options)).toEqual(exact);
      expect(normal(key(3), 1500, options)).toEqual(Float32Array.from(exact));
    }
  });

  test("the mean may be the output itself", () => {
    const mean = Float32Array.from({ length: 2600 }, (_, i) => i);
    const expected = normal(key(1), 2600, { mean });
    expect(normal(key(1), mean, { mean })).toEqual(expected);
  });

  test("a deviation of 0 gives the mean", () => {
    expect(normal(key(1), 40, { mean: 2, standardDeviation: 0 })).toEqual(
      new Float32Array(40).fill(2),
    );
  });

  test.each([
    [{ standardDeviation: -1 }, "normal: standardDeviation must be >= 0, got -1"],
    [
      { standardDeviation: Number.NaN },
      "normal: standardDeviation must be a finite number, got NaN",
    ],
    [{ mean: Number.POSITIVE_INFINITY }, "must be a finite number, got Infinity"],
    [{ mean: [1, 2, 3] as never }, "must be a finite number, got an array"],
    [
      { mean: new Float32Array(2) },
      "normal: mean must have as many elements as the output, got 2 and 3",
    ],
  ])("%j is refused", (options, message) => {
    expect(() => normal(key(1), 3, options)).toThrow(message);
  });
});

describe("uniform's range", () => {
  test.each([
    [0.7, 0.7000002],
    [-0.7, -0.6999999],
    [1e-50, 1e-44],
    [16777217, 16777224],
  ])("stays in [%d, %d) where float32 rounds the ends outwards", (low, high) => {
    const u = uniform(key(0), 1000, { low, high });
    expect(Math.fround(low)).not.toBe(low);
    expect(u.every((v) => v >= low && v < high)).toBe(true);
    expect(new Set(u).size).toBeGreaterThan(1);
  });

  test("an ordinary range gives low + (high - low) u, rounded", () => {
    const u = uniform(key(5), new Float64Array(1000));
    const want = Float32Array.from(u, (v) => 0.7 + (3.1 - 0.7) * v);
    expect(uniform(key(5), 1000, { low: 0.7, high: 3.1 })).toEqual(want);
  });

  test("holds in both precisions, high never reached", () => {
    const ranges = [
      [0, 1],
      [-3, -1],
      [-1, 0],
      [1, 1 + 2 ** -22],
      [16777216, 16777218],
      [0, 1e-300],
    ] as const;
    for (const [low, high] of ranges)
      for (const out of [new Float32Array(5000), new Float64Array(5000)]) {
        if (out instanceof Float32Array && high === 1e-300) continue;
        const values = uniform(key(5), out, { low, high });
        expect(
          values.every((v) => v >= low && v < high),
          `${low} ${high}`,
        ).toBe(true);
      }
  });

  test("is low + (high - low) u", () => {
    const u = uniform(key(5), new Float64Array(100));
    expect(uniform(key(5), new Float64Array(100), { low: -2, high: 6 })).toEqual(
      u.map((v) => -2 + 8 * v),
    );
  });

  test("u times 2^53 is the integer of the top 53 bits", () => {
    const u = uniform(key(5), new Float64Array(1000));
    expect(u.every((v) => Number.isInteger(v * 2 ** 53))).toBe(true);
    expect(u.some((v) => (v * 2 ** 53) % 2 === 1)).toBe(true);
  });

  test.each([
    [{ low: 1 }, "uniform: low must lie below high, less than 1.8e308 apart, got low 1 and high 1"],
    [{ low: 2 }, "got low 2 and high 1"],
    [{ low: -1.7e308, high: 1.7e308 }, "less than 1.8e308 apart"],
    [{ high: Number.NaN }, "uniform: high must be a finite number, got NaN"],
    [{ low: "0" as never }, 'uniform: low must be a finite number, got "0"'],
  ])("%j is refused", (options, message) => {
    expect(() => uniform(key(1), 3, options)).toThrow(message);
  });
});

test("laplace scales, and refuses a bad scale", () => {
  const z = laplace(key(5), new Float64Array(100));
  expect(laplace(key(5), new Float64Array(100), { scale: 3 })).toEqual(z.map((v) => 3 * v));
  expect(() => laplace(key(1), 3, { scale: -2 })).toThrow("laplace: scale must be >= 0, got -2");
});
