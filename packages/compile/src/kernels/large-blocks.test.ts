import { execFileSync } from "node:child_process";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { compile } from "../index.ts";
import { loadRuntime } from "../runtime/runtime.ts";
import { findCCompiler, nativeSource } from "./c-compiler.ts";
import { withoutHoles } from "./large-blocks.ts";
import { openAddon } from "./native-session.ts";

const compiler = await findCCompiler();

/**
 * Grows the heap by 64 MB in blocks of 2, and prints by how many it grew; "no room" in one process of some hundred, where
 * the system has put something right behind the heap.
 */
const GROW = `
const addon = require(process.argv[1]);
const { readFileSync } = require("node:fs");
const heap = () => Number(/\\[heap\\]\\n[^]*?Rss: +(\\d+)/.exec(readFileSync("/proc/self/smaps", "utf8"))[1]) / 1024;
const [, end, next] = /-(\\w+) .*\\[heap\\]\\n(\\w+)/.exec(readFileSync("/proc/self/maps", "utf8"));
if (parseInt(next, 16) - parseInt(end, 16) < 96 << 20) {
  console.log("no room");
  process.exit();
}
addon.largeBlocksApart(process.argv[2] === "true");
const before = heap();
globalThis.blocks = Array.from({ length: 32 }, () => Buffer.alloc(2 << 20, 1));
console.log(heap() - before);
`;

describe.skipIf(!compiler)("large blocks", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const spy = async () => {
    await loadRuntime("test", {});
    return vi.spyOn(await openAddon(compiler!), "largeBlocksApart");
  };

  it("lie apart from the heap on demand", async () => {
    const addon = await compiler!.build("session", await nativeSource("session.c"));
    const growth = (apart: boolean): number => {
      const args = ["-e", GROW, addon, `${apart}`];
      const printed = execFileSync(process.execPath, args, { encoding: "utf8" }).trim();
      return printed === "no room" ? growth(apart) : Number(printed);
    };
    expect(growth(true)).toBeLessThan(8);
    expect(growth(false)).toBeGreaterThan(56);
  });

  it("do so while large constants are loaded, and only then", async () => {
    const calls = await spy();
    const load = async (size: number) => {
      const w = new Float32Array(size * size);
      for (let i = 0; i < size; i++) w[i * size + ((i + 1) % size)] = 2;
      const program = await compile({
        fn: ({ x, w }: Record<string, tf.Tensor>) => tf.matMul(x!, w!),
        specs: { x: { shape: [1, size] } },
        constants: { w: { dtype: "float32", shape: [size, size], data: w } },
      });
      const data = Float32Array.from({ length: size }, (_, i) => i);
      const y = await program({ x: { dtype: "float32", shape: [1, size], data } });
      program.dispose();
      expect(Array.from(y.data.slice(0, 3))).toEqual([2 * (size - 1), 0, 2]);
    };
    await load(64);
    expect(calls.mock.calls).toEqual([]);
    await load(4096);
    expect(calls.mock.calls).toEqual([[true], [false]]);
  });

  it("do not where no compiler is to be used, and not after a load that failed", async () => {
    const calls = await spy();
    const constants = [{ path: "w", data: new Uint8Array(1 << 26) }];
    expect(await withoutHoles(constants, { kernels: "standard" }, async () => 5)).toBe(5);
    expect(await withoutHoles(constants, { provider: "wasm" }, async () => 6)).toBe(6);
    expect(calls.mock.calls).toEqual([]);
    const broken = withoutHoles(constants, {}, () => Promise.reject(new Error("no")));
    await expect(broken).rejects.toThrow("no");
    expect(calls.mock.calls).toEqual([[true], [false]]);
  });
});
