import { checkCount, show } from "./check.ts";
import { checkOptions, type OptionNames } from "./check-options.ts";
import { DmaeError } from "./errors.ts";
import { CHUNK_BLOCKS, javascriptKernels, type Kernel, type Kernels } from "./kernels.ts";
import { address, checkKey, type Key } from "./key.ts";
import { fastestKernels } from "./wasm/engine.ts";

/** Where in a stream a draw lies. */
export interface DrawOptions {
  /**
   * Number of the draw, an integer in `[0, 2^53)`, default 0: a counter word pair of its own, so that
   * draw 10,000 costs what draw 0 costs and no draw runs into the next.
   */
  readonly index?: number | undefined;
  /**
   * Position of the first element within the draw, default 0: `{ start: 100 }` gives the elements
   * from 100 on of the draw without it.
   */
  readonly start?: number | undefined;
}

/** The names of {@link DrawOptions}. */
export const drawNames = { index: true, start: true } satisfies OptionNames<DrawOptions>;

/** The array that a draw returns: the one given, or a new `Float32Array` for a length. */
export type Drawn<T> = T extends number ? Float32Array : T;

/** The array types that draws fill. */
export type FloatArray = Float32Array | Float64Array;

/** Elements of one draw: two for each value of the 32-bit block number. */
const MOST_ELEMENTS = 2 ** 33;

/** Checks the arguments that all draws share and returns the array to fill. */
export function prepare(
  where: string,
  key: Key,
  sizeOrOut: number | FloatArray,
  options: DrawOptions,
  names: OptionNames<DrawOptions>,
): FloatArray {
  checkOptions(where, options, names);
  const { index = 0, start = 0 } = options;
  checkKey(where, key);
  checkCount(`${where}: index`, index);
  checkCount(`${where}: start`, start);
  const isArray = sizeOrOut instanceof Float32Array || sizeOrOut instanceof Float64Array;
  if (!isArray && (!Number.isSafeInteger(sizeOrOut) || sizeOrOut < 0))
    throw new DmaeError(
      "argument",
      `${where}: the second argument must be a number of elements, a Float32Array or a Float64Array, got ${show(sizeOrOut)}`,
    );
  const length = isArray ? sizeOrOut.length : sizeOrOut;
  if (start + length > MOST_ELEMENTS)
    throw new DmaeError(
      "argument",
      `${where}: a draw has at most 2^33 elements, got start ${start} + length ${length}; use another index`,
    );
  return isArray ? sizeOrOut : new Float32Array(sizeOrOut);
}

/**
 * Runs `kernel` over the elements `start … start + length - 1` of a draw and hands each stretch of
 * values to `use(values, from, to, position)`: values `from … to - 1` belong at `position` and on.
 */
export function forEachChunk(
  kernel: Kernel,
  key: Key,
  domain: number,
  { index = 0, start = 0 }: DrawOptions,
  length: number,
  use: (values: Float64Array, from: number, to: number, position: number) => void,
): void {
  const at = address(key, domain, index >>> 0, Math.floor(index / 2 ** 32));
  let block = Math.floor(start / 2);
  let from = start % 2;
  for (let position = 0; position < length; ) {
    const blocks = Math.min(CHUNK_BLOCKS, Math.ceil((from + length - position) / 2));
    const to = Math.min(2 * blocks, from + length - position);
    use(kernel(at, block, blocks), from, to, position);
    position += to - from;
    block += blocks;
    from = 0;
  }
}

/** The kernels for a draw of `length` elements; short ones do not pay for a call across. */
export function kernelsFor(length: number): Kernels {
  return length < 32 ? javascriptKernels : fastestKernels();
}
