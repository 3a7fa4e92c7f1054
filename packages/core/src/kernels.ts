import { naturalLog, toNormals, toUnit } from "./box-muller.ts";
import { type Address, fillWords } from "./philox.ts";
import { BLOCKS } from "./wasm/layout.ts";

/** Blocks per call of a kernel: its arrays stay in the first-level cache. */
export const CHUNK_BLOCKS = BLOCKS;

/** Writes two standard variates for each of `blocks <= CHUNK_BLOCKS` blocks; valid until the next call. */
export type Kernel = (at: Address, firstBlock: number, blocks: number) => Float64Array;

/** The inner loops of all draws: in plain JavaScript here, in WebAssembly in `wasm/engine.ts`. */
export interface Kernels {
  readonly normals: Kernel;
  readonly uniforms: Kernel;
  readonly laplaces: Kernel;
  /**
   * Where it pays: float32 `mean + scale * normal` of the last call of `normals`, for its elements
   * `from … to - 1`; a `mean` array holds those elements only. Valid until the next call.
   */
  readonly shift?: (
    from: number,
    to: number,
    mean: number | Float32Array,
    scale: number,
  ) => Float32Array;
}

const words = new Uint32Array(4 * CHUNK_BLOCKS);
const values = new Float64Array(2 * CHUNK_BLOCKS);

/** The kernels that every engine runs. */
export const javascriptKernels: Kernels = {
  normals(at, firstBlock, blocks) {
    fillWords(words, at, firstBlock, blocks);
    toNormals(words, blocks, values);
    return values;
  },

  /** The integer k of the top 53 bits of two words over 2^53, 1/2 standing in for 0. */
  uniforms(at, firstBlock, blocks) {
    fillWords(words, at, firstBlock, blocks);
    for (let i = 0; i < 2 * blocks; i++) {
      const k = (words[2 * i] as number) * 2 ** 21 + ((words[2 * i + 1] as number) >>> 11);
      values[i] = (k === 0 ? 0.5 : k) * 2 ** -53;
    }
    return values;
  },

  /** The first of 64 bits is the sign, the other 63 give -log u. */
  laplaces(at, firstBlock, blocks) {
    fillWords(words, at, firstBlock, blocks);
    for (let i = 0; i < 2 * blocks; i++) {
      const high = words[2 * i] as number;
      const u = toUnit((high << 1) >>> 0, words[2 * i + 1] as number);
      values[i] = naturalLog(u) * (1 - 2 * (high >>> 31));
    }
    return values;
  },
};
