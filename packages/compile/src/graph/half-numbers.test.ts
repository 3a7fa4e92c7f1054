import { expect, it } from "vitest";
import { fromHalf, type HalfType, toHalf } from "./half-numbers.ts";

const types: readonly HalfType[] = ["bfloat16", "float16"];
const all = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);

it.each(types)("%s: every number is its own rounding", (type) => {
  const numbers = fromHalf(type, all);
  const again = toHalf(type, numbers);
  for (const half of all)
    if (Number.isNaN(numbers[half]!)) expect(fromHalf(type, [again[half]!])[0]).toBeNaN();
    else if (again[half] !== half) expect.fail(`${half} became ${again[half]}`);
});

it.each(types)("%s: halfway between two numbers the even one is taken, else the nearer", (type) => {
  const largest = type === "bfloat16" ? 0x7f7f : 0x7bff;
  const numbers = fromHalf(type, all);
  for (let half = 0; half < largest; half++) {
    const [low, high] = [numbers[half]!, numbers[half + 1]!];
    const middle = (low + high) / 2;
    const below = Math.fround(middle - (high - low) / 16);
    const above = Math.fround(middle + (high - low) / 16);
    const even = half % 2 === 0 ? half : half + 1;
    const found = toHalf(type, [middle, below, above, -middle]);
    if (`${found}` !== `${[even, half, half + 1, even | 0x8000]}`) expect.fail(`${half}: ${found}`);
  }
});

it("has the bits of IEEE 754 and of the upper half of float32", () => {
  // numpy 2: np.float16(x).view("u2"); bfloat16: the upper half of np.float32(x).view("u4"), rounded
  const values = [1, -2, 65504, 65519.99, 65520, 6e-8, 2 ** -25, 1 / 3, 1e-40];
  expect([...toHalf("float16", values)]).toEqual([
    0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0x0001, 0x0000, 0x3555, 0x0000,
  ]);
  expect([...toHalf("bfloat16", [1, -2, 1 / 3, 3.4e38, 3.4e39, 1e-40])]).toEqual([
    0x3f80, 0xc000, 0x3eab, 0x7f80, 0x7f80, 0x0001,
  ]);
});
