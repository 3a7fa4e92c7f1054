import { expect, test } from "vitest";
import { narrowHalf, widenHalf } from "./half.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import { toFloat16 } from "./to-float16.ts";

const float = (bits: number) => new Float32Array(new Uint32Array([bits]).buffer)[0]!;
const bitsOf = (value: number) => new Uint32Array(new Float32Array([value]).buffer)[0]!;

test("every float16 number survives widening and rounding", () => {
  const quiet = (
    half: number, // a NaN that is quiet from here on
  ) => ((half & 0x7c00) === 0x7c00 && (half & 1023) !== 0 ? half | 0x200 : half);
  const halves = Array.from({ length: 65536 }, (_, half) => half);
  expect(halves.filter((half) => narrowHalf(widenHalf(half) >>> 0) !== quiet(half))).toEqual([]);
});

test("numbers between two float16 numbers go to the nearer one, ties to the even one", () => {
  const wrong: number[] = [];
  for (let half = 0; half < 0x7bff; half++) {
    const low = float(widenHalf(half));
    const high = float(widenHalf(half + 1));
    const middle = bitsOf((low + high) / 2); // exact: float32 has 13 bits more
    const rounded = [middle - 1, middle, middle + 1].map(narrowHalf);
    const right = [half, half % 2 === 0 ? half : half + 1, half + 1];
    if (rounded.some((value, i) => value !== right[i])) wrong.push(half);
  }
  expect(wrong).toEqual([]);
  expect(narrowHalf(bitsOf(65519.996))).toBe(0x7bff);
  expect(narrowHalf(bitsOf(65520))).toBe(0x7c00);
  expect(narrowHalf(bitsOf(-1e-10))).toBe(0x8000);
});

test("toFloat16 rounds floats, keeps integers, and refuses what float16 cannot hold", () => {
  const data = Float32Array.from([1 + 2 ** -11, -0.1, 2 ** -25, Number.POSITIVE_INFINITY]);
  const stored = toFloat16({
    w: { dtype: "float32", shape: [2, 2], data },
    n: { dtype: "int32", shape: [1], data: Int32Array.of(70_000) },
  });
  const back = decodeSafetensors(encodeSafetensors(stored)).tensors;
  expect(Array.from(back.w!.data)).toEqual([1, -0.0999755859375, 0, Number.POSITIVE_INFINITY]);
  expect(back.n!.data).toEqual(Int32Array.of(70_000));
  expect(data[0]).toBe(1 + 2 ** -11);
  const large = { x: { dtype: "float32" as const, shape: [1], data: Float32Array.of(-7e4) } };
  expect(() => toFloat16(large)).toThrow(
    'toFloat16: values must be below 65520, got -70000 in "x"; store this tensor as float32',
  );
});
