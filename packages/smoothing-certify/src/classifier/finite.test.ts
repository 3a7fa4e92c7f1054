import { expect, it } from "vitest";
import { checkFinite } from "./finite.ts";

it("finds what is not finite in every place, and nothing else", () => {
  const edge = Math.fround(3.4028234663852886e38); // the largest float32
  const usual = [0, -0, 1, -1, edge, -edge, 2 ** -149, -(2 ** -149), 2 ** -126];
  const memory = new Float32Array(13);
  for (let length = 0; length <= 11; length++) {
    const values = memory.subarray(1, 1 + length); // not at the beginning of its memory
    values.fill(0.5);
    values.set(usual.slice(0, length));
    memory[0] = Number.NaN;
    memory[1 + length] = Number.NaN;
    expect(() => checkFinite("it", values, 3)).not.toThrow();
    for (const bad of [Number.NaN, Infinity, -Infinity])
      for (let i = 0; i < length; i++) {
        const before = values[i]!;
        values[i] = bad;
        expect(() => checkFinite("it", values, 3)).toThrow(
          `certify: it must give finite numbers, got ${bad} at element ${i % 3} of row ${Math.floor(i / 3)} of`,
        );
        values[i] = before;
      }
  }
});
