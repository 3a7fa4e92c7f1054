import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CHUNK_BLOCKS, javascriptKernels } from "./kernels.ts";
import { code } from "./wasm/draws.wasm.ts";
import { fastestKernels } from "./wasm/engine.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });
const addresses = fc.record({
  keyLow: word,
  keyHigh: word,
  domain: word,
  indexLow: word,
  indexHigh: word,
});

const wasm = fastestKernels();
const bits = (values: Float64Array) => Array.from(new BigUint64Array(values.slice().buffer));

test("this machine runs the WebAssembly kernels", () => {
  expect(wasm).not.toBe(javascriptKernels);
});

test.each(["normals", "uniforms", "laplaces"] as const)(
  "WebAssembly and JavaScript %s have the same bits",
  (name) => {
    fc.assert(
      fc.property(
        addresses,
        word,
        fc.integer({ min: 1, max: CHUNK_BLOCKS }),
        (at, first, blocks) => {
          const expected = bits(javascriptKernels[name](at, first, blocks).subarray(0, 2 * blocks));
          expect(bits(wasm[name](at, first, blocks).subarray(0, 2 * blocks))).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  },
);

test("shift is mean + scale * value rounded once, for both kinds of mean", () => {
  const at = { keyLow: 1, keyHigh: 2, domain: 1, indexLow: 3, indexHigh: 4 };
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 10, max: 2 * CHUNK_BLOCKS }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.float({ min: -1e6, max: 1e6, noNaN: true }),
      (from, to, scale, mean) => {
        const values = wasm.normals(at, 5, Math.ceil(to / 2));
        const expected = Float32Array.from(values.subarray(from, to), (z) => mean + scale * z);
        expect(wasm.shift!(from, to, mean, scale)).toEqual(expected);
        const means = Float32Array.from({ length: to - from }, (_, i) => mean * i);
        const each = Float32Array.from(means, (m, i) => m + scale * values[from + i]!);
        expect(wasm.shift!(from, to, means, scale)).toEqual(each);
      },
    ),
    { numRuns: 100 },
  );
});

test("the module is valid, and small enough to be compiled on a browser's main thread", () => {
  const bytes = Buffer.from(code, "base64");
  expect(WebAssembly.validate(bytes)).toBe(true);
  expect(bytes.length).toBeLessThan(4096);
});

describe("without WebAssembly", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  const refusing = {
    validate: () => false,
    Module: class {
      constructor() {
        throw new EvalError("blocked by the content security policy");
      }
    },
  };

  test.each([
    ["missing", undefined],
    ["forbidden", refusing],
  ])("%s, draws give the same numbers", async (_, replacement) => {
    const { key, normal, uniform } = await import("./index.ts");
    const mean = Float32Array.from({ length: 5000 }, (_, i) => i);
    const options = { index: 3, mean, standardDeviation: 0.3 };
    const expected = [normal(key(1), 5000, options), uniform(key(1), 5000)];
    vi.stubGlobal("WebAssembly", replacement);
    vi.resetModules();
    const fresh = await import("./index.ts");
    const engine = await import("./wasm/engine.ts");
    const kernels = await import("./kernels.ts");
    expect(engine.fastestKernels()).toBe(kernels.javascriptKernels);
    expect([fresh.normal(key(1), 5000, options), fresh.uniform(key(1), 5000)]).toEqual(expected);
  });
});
