import { javascriptKernels, type Kernel, type Kernels } from "../kernels.ts";
import { code } from "./draws.wasm.ts";
import { BLOCKS, layout } from "./layout.ts";

interface Exports {
  memory: WebAssembly.Memory;
  words(
    key0: number,
    key1: number,
    domain: number,
    index0: number,
    index1: number,
    first: number,
    blocks: number,
  ): void;
  uniforms(blocks: number): void;
  normals(blocks: number): void;
  shiftByNumber(count: number, scale: number, mean: number): void;
  shiftByArray(count: number, scale: number, unused: number): void;
}

let kernels: Kernels | undefined;

/**
 * The WebAssembly kernels, which give the bits of the JavaScript ones about five times faster; those
 * where WebAssembly or its vector instructions are missing or forbidden (a content security policy
 * without `wasm-unsafe-eval`), and on big-endian machines.
 */
export function fastestKernels(): Kernels {
  kernels ??= instantiate() ?? javascriptKernels;
  return kernels;
}

function instantiate(): Kernels | undefined {
  if (typeof WebAssembly !== "object" || !isLittleEndian()) return undefined;
  try {
    const bytes = Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    return makeKernels(instance.exports as unknown as Exports);
  } catch {
    return undefined; // not an error: the other kernels give the same numbers
  }
}

const isLittleEndian = () => new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

function makeKernels(wasm: Exports): Kernels {
  const { buffer } = wasm.memory;
  const values = new Float64Array(buffer, layout.values, 2 * BLOCKS);
  const means = new Float32Array(buffer, layout.means, 2 * BLOCKS);
  const results = new Float32Array(buffer, layout.results, 2 * BLOCKS);
  const kernel =
    (transform: (blocks: number) => void): Kernel =>
    ({ keyLow, keyHigh, domain, indexLow, indexHigh }, firstBlock, blocks) => {
      wasm.words(keyLow, keyHigh, domain, indexLow, indexHigh, firstBlock, blocks);
      transform(blocks);
      return values;
    };
  return {
    normals: kernel(wasm.normals),
    uniforms: kernel(wasm.uniforms),
    laplaces: javascriptKernels.laplaces,
    shift(from, to, mean, scale) {
      if (typeof mean === "number") {
        wasm.shiftByNumber(to, scale, mean);
      } else {
        means.set(mean, from);
        wasm.shiftByArray(to, scale, 0);
      }
      return results.subarray(from, to);
    },
  };
}
