import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import type { PixelImage } from "./pixels.ts";
import {
  applyRandAugment,
  type Draws,
  drawRandAugment,
  parseRandAugment,
  randAugmentOperations,
} from "./rand-augment.ts";

const fixtures = new URL("./__fixtures__/", import.meta.url);
const pil = readFixture(new URL("pil.safetensors", fixtures));
const notes = JSON.parse(readFileSync(new URL("pil.json", fixtures), "utf8"));
const fill = [124, 116, 104];

function image(from: typeof pil, name: string): PixelImage {
  const { shape, data } = from.get(name);
  const [height, width, channels = 1] = shape as [number, number, number?];
  return { data: data as Uint8Array, height, width, channels };
}

/** The largest difference of levels. */
const distance = (a: PixelImage, b: PixelImage) =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);

test("every operation, magnitude and sign is Pillow's, byte for byte", () => {
  const source = image(pil, "small");
  const found = notes.ops.map(
    ({ op, args, tensor }: { op: string; args: number[]; tensor: string }) => {
      const result = randAugmentOperations[op]!.apply(source, args[0] ?? 0, fill);
      return [op, args, distance(result, image(pil, tensor))];
    },
  );
  expect(found).toEqual(found.map(([op, args]: unknown[]) => [op, args, 0]));
  expect(new Set(found.map(([op]: unknown[]) => op)).size).toBe(15);
});

test("magnitudes turn into timm's arguments", () => {
  for (const { op, magnitude, sign, args } of notes.ops) {
    const negate = (value: number) => (sign === "neg" ? -value : value);
    const argument = randAugmentOperations[op]!.argument(magnitude, negate);
    expect(argument, op).toBeCloseTo(args[0] ?? 0, 12);
  }
});

/** Plays recorded draws of timm back: choices and coins as uniforms, magnitudes as normals. */
function playBack(recorded: [string, number][]): Draws & { left: () => number } {
  const queue = [...recorded];
  const next = (...kinds: string[]) => {
    const [kind, value] = queue.shift()!;
    expect(kinds).toContain(kind);
    return kind === "choice" ? (value + 0.5) / 15 : value;
  };
  return {
    uniform: () => next("choice", "random"),
    normal: () => (next("gauss") - 9) / 0.5,
    left: () => queue.length,
  };
}

test("whole calls with timm's recorded draws are timm's, byte for byte", () => {
  const config = { ...parseRandAugment("rand-m9-mstd0.5-inc1"), fill };
  for (const { draws, tensor } of notes.traces) {
    const recorded = playBack(draws);
    const drawn = drawRandAugment(config, recorded);
    expect(recorded.left(), tensor).toBe(0);
    expect(
      distance(applyRandAugment(image(pil, "small"), drawn, fill), image(pil, tensor)),
      tensor,
    ).toBe(0);
  }
});

test("the notation is read, and what is not understood is an error", () => {
  expect(parseRandAugment("rand-m9-mstd0.5-inc1")).toEqual({
    magnitude: 9,
    magnitudeStd: 0.5,
    layers: 2,
  });
  expect(parseRandAugment("rand-n3-m7.5-inc1")).toEqual({
    magnitude: 7.5,
    magnitudeStd: 0,
    layers: 3,
  });
  expect(() => parseRandAugment("original-m9-inc1")).toThrow("must start with rand");
  expect(() => parseRandAugment("rand-m9")).toThrow("inc1 is missing");
  expect(() => parseRandAugment("rand-m11-inc1")).toThrow("section m11 is not known");
  expect(() => parseRandAugment("rand-m9-mmax5-inc1")).toThrow("section mmax5");
});

const reference = new URL("../../../../shared/reference/augment/", import.meta.url);
test.skipIf(!existsSync(reference))(
  "the recorded operations of the reference, byte for byte",
  () => {
    const tensors = readFixture(new URL("randaugment.safetensors", reference));
    const { ops, traces } = JSON.parse(
      readFileSync(new URL("randaugment.json", reference), "utf8"),
    );
    const source = image(tensors, "source");
    for (const {
      name,
      sign_is_random,
      args_at_9_positive,
      args_at_9_negative,
      level_to_arg,
    } of ops) {
      const { apply, argument } = randAugmentOperations[name]!;
      for (const { magnitude, positive, negative } of level_to_arg) {
        expect(
          argument(magnitude, (value) => value),
          name,
        ).toBeCloseTo(positive[0] ?? 0, 12);
        expect(
          argument(magnitude, (value) => -value),
          name,
        ).toBeCloseTo(negative[0] ?? 0, 12);
      }
      const signs = sign_is_random
        ? { ".pos": args_at_9_positive, ".neg": args_at_9_negative }
        : { "": args_at_9_positive };
      for (const [sign, args] of Object.entries(signs))
        expect(
          distance(apply(source, args[0] ?? 0, fill), image(tensors, name + sign)),
          name + sign,
        ).toBe(0);
    }
    for (const { trace, steps } of traces) {
      const drawn = steps
        .filter(({ applied }: { applied: boolean }) => applied)
        .map(({ op, args }: { op: string; args: number[] }) => ({
          name: op,
          argument: args[0] ?? 0,
        }));
      expect(
        distance(applyRandAugment(source, drawn, fill), image(tensors, `trace${trace}`)),
        `trace ${trace}`,
      ).toBe(0);
    }
  },
);
