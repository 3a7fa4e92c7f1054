import { DmaeError } from "@dmae/core";
import { rotate, shearX, shearY, translateX, translateY } from "./affine.ts";
import { brightness, color, contrast, sharpness } from "./enhance.ts";
import type { PixelImage } from "./pixels.ts";
import {
  autoContrast,
  equalize,
  invert,
  posterize,
  solarize,
  solarizeAdd,
} from "./point-operations.ts";

/** Random numbers for one operation on one image. */
export interface Draws {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** What a RandAugment configuration string says. */
export interface RandAugmentConfig {
  /** Mean magnitude, 0 … 10. */
  readonly magnitude: number;
  /** Standard deviation of the magnitude. */
  readonly magnitudeStd: number;
  /** Operations per image. */
  readonly layers: number;
  /** What comes in from outside the image: one value per channel. */
  readonly fill: readonly number[];
}

/** One operation: its function and its argument at a magnitude (a sign is drawn through `negate`). */
interface Entry {
  readonly apply: (image: PixelImage, argument: number, fill: readonly number[]) => PixelImage;
  readonly argument: (magnitude: number, negate: (value: number) => number) => number;
}

const none = () => 0;
const signed = (most: number) => (magnitude: number, negate: (value: number) => number) =>
  negate((magnitude / 10) * most);
const enhancement = (magnitude: number, negate: (value: number) => number) =>
  Math.max(0.1, 1 + negate((magnitude / 10) * 0.9));
const steps = (magnitude: number, most: number) => Math.trunc((magnitude / 10) * most);

/** The operations of timm's increasing set (`inc1`), in its order. */
export const randAugmentOperations: Readonly<Record<string, Entry>> = {
  AutoContrast: { apply: autoContrast, argument: none },
  Equalize: { apply: equalize, argument: none },
  Invert: { apply: invert, argument: none },
  Rotate: { apply: rotate, argument: signed(30) },
  PosterizeIncreasing: { apply: posterize, argument: (magnitude) => 4 - steps(magnitude, 4) },
  SolarizeIncreasing: { apply: solarize, argument: (magnitude) => 256 - steps(magnitude, 256) },
  SolarizeAdd: { apply: solarizeAdd, argument: (magnitude) => steps(magnitude, 110) },
  ColorIncreasing: { apply: color, argument: enhancement },
  ContrastIncreasing: { apply: contrast, argument: enhancement },
  BrightnessIncreasing: { apply: brightness, argument: enhancement },
  SharpnessIncreasing: { apply: sharpness, argument: enhancement },
  ShearX: { apply: shearX, argument: signed(0.3) },
  ShearY: { apply: shearY, argument: signed(0.3) },
  TranslateXRel: { apply: translateX, argument: signed(0.45) },
  TranslateYRel: { apply: translateY, argument: signed(0.45) },
};

const names = Object.keys(randAugmentOperations);

/**
 * Reads timm's notation: `rand-m9-mstd0.5-inc1`, sections `m` magnitude, `mstd` its deviation, `n` operations
 * per image (2), `inc1` the increasing set, which is the one here.
 */
export function parseRandAugment(policy: string): Omit<RandAugmentConfig, "fill"> {
  const config = { magnitude: 10, magnitudeStd: 0, layers: 2 };
  const [head, ...sections] = policy.split("-");
  const fail = (why: string) => {
    throw new DmaeError(
      "argument",
      `randAugment: ${why} in "${policy}", e.g. rand-m9-mstd0.5-inc1`,
    );
  };
  if (head !== "rand") fail("the policy must start with rand");
  for (const section of sections) {
    const [, name, text] = /^([a-z]+)(\d+(?:\.\d+)?)$/.exec(section) ?? [];
    const value = Number(text);
    if (name === "m" && value <= 10) config.magnitude = value;
    else if (name === "mstd") config.magnitudeStd = value;
    else if (name === "n" && Number.isInteger(value)) config.layers = value;
    else if (name !== "inc" || value !== 1) fail(`section ${section} is not known`);
  }
  if (!sections.includes("inc1")) fail("only the increasing set is available: inc1 is missing");
  return config;
}

/** An operation and its argument, as drawn. */
export interface DrawnAugmentation {
  /** A name of {@link randAugmentOperations}. */
  readonly name: string;
  /** Degrees, bits, threshold, amount, factor or fraction. */
  readonly argument: number;
}

/**
 * Draws what RandAugment does to one image, in timm's order: first the operations, uniform and with
 * repetition; then for each one a coin, the magnitude (normal, cut to [0, 10]) and the sign.
 */
export function drawRandAugment(
  { magnitude, magnitudeStd, layers }: RandAugmentConfig,
  { uniform, normal }: Draws,
): DrawnAugmentation[] {
  const chosen = Array.from({ length: layers }, () => names[Math.floor(uniform() * names.length)]!);
  const negate = (value: number) => (uniform() > 0.5 ? -value : value);
  return chosen.flatMap((name) => {
    if (uniform() > 0.5) return [];
    const drawn = magnitudeStd > 0 ? magnitude + magnitudeStd * normal() : magnitude;
    const strength = Math.max(0, Math.min(10, drawn));
    return [{ name, argument: randAugmentOperations[name]!.argument(strength, negate) }];
  });
}

/** Applies drawn operations in order. */
export function applyRandAugment(
  image: PixelImage,
  drawn: readonly DrawnAugmentation[],
  fill: readonly number[],
): PixelImage {
  return drawn.reduce(
    (current, { name, argument }) => randAugmentOperations[name]!.apply(current, argument, fill),
    image,
  );
}
