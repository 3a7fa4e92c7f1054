import { DmaeError } from "@dmae/core";
import { describeValue, isRecord } from "@dmae/nn/executors";

/** The values that the input of one matrix product takes. */
export interface ActivationRange {
  /** Represented by 0. */
  readonly min: number;
  /** Represented by 255. */
  readonly max: number;
}

/** Fixed scales of an int8 program, found by `quantize`; plain data, it can be stored as JSON. */
export interface Quantization {
  /** Bits of a weight: with 7 no CPU can saturate, see `quantize`. */
  readonly weightBits: 7 | 8;
  /** Ranges of activations, by the name of the weight that they are multiplied with. */
  readonly ranges: Readonly<Record<string, ActivationRange>>;
}

/** Checks scales, which may come from a file. */
export function checkQuantization(caller: string, quantization: Quantization): void {
  const { weightBits, ranges } = quantization;
  if (!isRecord(ranges) || Object.keys(ranges).length === 0)
    throw new DmaeError(
      "argument",
      `${caller}: quantization must be what quantize returns, {weightBits, ranges}, got ${describeValue(quantization)}; its ranges are ${describeValue(ranges)}`,
    );
  checkWeightBits(caller, weightBits);
  for (const [name, range] of Object.entries(ranges))
    if (!(Number.isFinite(range?.min) && Number.isFinite(range?.max) && range.min <= range.max))
      throw new DmaeError(
        "argument",
        `${caller}: the range of ${name} must be {min, max}, finite and in order, got ${JSON.stringify(range)}`,
        { name },
      );
}

/** Checks how many bits a weight shall have. */
export function checkWeightBits(caller: string, weightBits: unknown): void {
  if (weightBits !== 7 && weightBits !== 8)
    throw new DmaeError("argument", `${caller}: weightBits must be 7 or 8, got ${weightBits}`);
}

/** Ranges without a product are those of another function, which would stay float32 without a word. */
export function checkMatch(
  caller: string,
  products: readonly string[],
  { ranges }: Quantization,
): void {
  const names = new Set(products);
  const unknown = Object.keys(ranges).filter((name) => !names.has(name));
  if (unknown.length > 0)
    throw new DmaeError(
      "argument",
      `${caller}: quantization has ranges for ${list(unknown)}, but the products that can run in int8 are ` +
        `${list([...names]) || "none"}; call quantize with this function and these constants`,
      { unknown },
    );
}

const list = (names: readonly string[]) =>
  names.length > 8
    ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more`
    : names.join(", ");
