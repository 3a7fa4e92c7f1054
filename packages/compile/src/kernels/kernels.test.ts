import "@tensorflow/tfjs-backend-cpu";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostTensor } from "@dmae/core";
import {
  eagerExecutor,
  type StepFunction,
  softmaxCrossEntropy,
  type Tensors,
  valueAndGradients,
} from "@dmae/nn";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { failure } from "../../../../testing/failure.ts";
import { Graph } from "../graph/graph.ts";
import { compile, compiledExecutor, compileStep } from "../index.ts";
import { expectEager as expectAsEager } from "../testing/expect-eager.ts";
import { draws } from "../testing/sweep.ts";
import { cCompiler, findCCompiler } from "./c-compiler.ts";
import { generateKernels } from "./generate.ts";

const compiler = await findCCompiler();
const cache = mkdtempSync(join(tmpdir(), "dmae-kernels-"));

beforeAll(async () => {
  process.env.DMAE_CACHE = cache;
  await tf.setBackend("cpu");
});

afterAll(() => rmSync(cache, { recursive: true }));

const floats = (shape: number[], fill: (i: number) => number): HostTensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => fill(i)),
});

const random = draws(7, "kernels");

/** What generated kernels and the eager backend make of the same function. */
const expectEager = (
  fn: (inputs: Tensors) => Tensors,
  inputs: Record<string, HostTensor>,
  tolerance?: number,
) => expectAsEager(fn, inputs, { kernels: "generated", ...(tolerance && { tolerance }) });

describe.skipIf(!compiler)("generated kernels", () => {
  it("sums the columns of many rows to as many digits as a float32 has", async () => {
    const shape = [1 << 20, 1];
    const fn = ({ x }: Tensors) => ({ sum: tf.sum(tf.sub(x!, 0.5), 0) });
    const compiled = await compile(fn, { x: { shape } }, { kernels: "generated" });
    const { sum } = await compiled({ x: floats(shape, () => 0.1) });
    const wanted = shape[0]! * Math.fround(Math.fround(0.1) - 0.5);
    expectClose(sum.data, [wanted], { relative: 5e-5 }); // with 16 parts 6e-4
    compiled.dispose();
  });

  it("computes elementwise chains, rows and columns of every form", async () => {
    for (const [rows, columns] of [
      [5, 7],
      [1, 33],
      [64, 1],
      [70, 768],
    ] as const) {
      const inputs = {
        x: random.floats([rows, columns]),
        y: random.floats([rows, columns], 0.5, 2),
        row: random.floats([columns]),
        column: random.floats([rows, 1]),
        scalar: random.floats([]),
      };
      const kernels = await expectEager(({ x, y, row, column, scalar }) => {
        const a = tf.erf(tf.mul(tf.add(x!, row!), scalar!));
        const b = tf.div(tf.exp(tf.sub(x!, column!)), y!);
        const c = tf.maximum(tf.minimum(a, b), tf.neg(tf.abs(x!)));
        const d = tf.sub(tf.sigmoid(c), tf.relu(tf.sub(y!, 1)));
        const e = tf.mul(tf.sqrt(y!), tf.reciprocal(y!));
        return { a, c, e: tf.add(d, e) };
      }, inputs);
      expect(kernels).toBeGreaterThan(0);
    }
  });

  it("reduces rows and columns, several times in one kernel", async () => {
    // x is worked on in three parts, whose sums are added up.
    const inputs = { x: random.floats([130, 500]), y: random.floats([4, 3, 5, 50]) };
    await expectEager(({ x, y }) => {
      const centred = tf.sub(x!, tf.mean(x!, 1, true));
      const scaled = tf.div(centred, tf.sqrt(tf.add(tf.sum(tf.square(centred), 1, true), 1e-3)));
      const largest = tf.max(y!, 3, true);
      return {
        scaled,
        columns: tf.sum(tf.mul(scaled, x!), 0),
        probabilities: tf.softmax(tf.mul(y!, 3)),
        largest: tf.mul(tf.sub(y!, largest), 2),
      };
    }, inputs);
  });

  it("writes every element where a number stands for a row, or for all of a matrix", async () => {
    const inputs = { x: random.floats([5, 1]), one: random.floats([]), v: random.floats([9]) };
    await expectEager(({ x, one, v }) => {
      const kept = tf.sub(tf.ones([5, 9]), x!);
      const same = tf.mul(tf.fill([5, 9], 0.5), one!);
      const shares = tf.softmax(tf.add(kept, same));
      return {
        ...{ kept, same, shares, y: tf.mul(kept, v!), z: tf.exp(tf.mul(same, v!)) },
        sums: tf.sum(tf.square(kept), 0),
        centred: tf.sub(shares, tf.mean(shares, 1, true)),
      };
    }, inputs);
  });

  it("writes over its operands only what it does not read again", async () => {
    // Products on both sides: what lies between them is ONNX Runtime's to place.
    const fn = ({ a, b }: Tensors) => {
      const x = tf.matMul(a!, b!);
      const e = tf.exp(tf.mul(x, 0.1));
      const y = tf.sub(x, tf.mean(e, 1, true));
      const z = tf.div(tf.sub(y, tf.mean(tf.square(y), 1, true)), tf.add(e, 1));
      return { e: tf.matMul(e, b!), y: tf.matMul(y, b!), z: tf.matMul(z, b!) };
    };
    const inputs = { a: random.floats([90, 90], -1, 1), b: random.floats([90, 90], -1, 1) };
    await expectEager(fn, inputs, 1e-4);
  });

  it("multiplies matrices of any size, transposed or not", async () => {
    const sizes = [
      [8, 48, 6000],
      [129, 131, 133],
      [1500, 49, 40],
      [100, 1100, 31],
      [16, 130, 1100],
    ] as const;
    for (const [m, n, k] of sizes)
      await expectEager(
        ({ a, at, b, bt }) => ({
          nn: tf.matMul(a!, b!),
          tn: tf.matMul(at!, b!, true),
          nt: tf.matMul(a!, bt!, false, true),
          tt: tf.mul(tf.matMul(at!, bt!, true, true), 0.5),
        }),
        {
          a: random.floats([m, k], -1, 1),
          at: random.floats([k, m], -1, 1),
          b: random.floats([k, n], -1, 1),
          bt: random.floats([n, k], -1, 1),
        },
        3e-5,
      );
  });

  it("computes attention of any size and its gradient", async () => {
    for (const [batch, tokens, heads, size] of [
      [2, 53, 2, 20],
      [3, 5, 1, 33],
      [1, 197, 2, 64],
    ] as const) {
      const shape = [batch, tokens, 3 * heads * size];
      const kernels = await expectEager(
        ({ qkv, weight }) => {
          const { loss, gradients } = valueAndGradients(
            ({ qkv }) => ({ loss: tf.sum(tf.mul(attention(qkv!, heads), weight!)) }),
            { qkv: qkv! },
          );
          return { loss, gradient: gradients.qkv! };
        },
        { qkv: random.floats(shape), weight: random.floats([batch, tokens, heads * size]) },
        2e-5,
      );
      expect(kernels).toBeGreaterThanOrEqual(2);
    }
  });

  it("keeps a row of a product the same whatever its neighbours are", async () => {
    const program = await compile(
      ({ x, w }) => ({ y: tf.matMul(x!, w!) }),
      { x: { shape: [203, 101] }, w: { shape: [101, 130] } },
      { kernels: "generated" },
    );
    const w = random.floats([101, 130]);
    const x = random.floats([203, 101]);
    const { y } = await program({ x, w });
    for (const row of [0, 5, 100, 202]) {
      const alone = floats([203, 101], (i) =>
        Math.floor(i / 101) === row ? x.data[i]! : 1000 * random.integer(-3, 3),
      );
      const again = await program({ x: alone, w });
      expect(again.y.data.slice(row * 130, row * 130 + 130)).toEqual(
        y.data.slice(row * 130, row * 130 + 130),
      );
    }
    program.dispose();
  });

  it("computes exp and erf to the last bits, special values included", async () => {
    // An infinity times zero is how NaN gets in: inputs may hold none.
    const special = [0, -0, Infinity, Infinity, -Infinity, 1e-45, -1e-40, 88.7, 89, -87, -103, 1];
    const x = floats([4096], (i) => special[i] ?? (i - 2048) / 20);
    const one = floats([4096], (i) => Number(i !== 2));
    const values = Float32Array.from(x.data, (value, i) => value * one.data[i]!);
    const program = await compile(
      ({ x, one }) => {
        const y = tf.mul(x!, one!);
        return { exp: tf.exp(y), erf: tf.erf(tf.mul(y, 0.25)) };
      },
      { x: { shape: [4096] }, one: { shape: [4096] } },
      { kernels: "generated" },
    );
    const { exp, erf } = await program({ x, one });
    program.dispose();
    expect(values[2]).toBeNaN();
    values.forEach((value, i) => {
      const exact = Math.fround(Math.exp(value));
      if (Number.isNaN(exact) || !Number.isFinite(exact)) expect(exp.data[i]).toBe(exact);
      else expect(Math.abs(exp.data[i]! - exact)).toBeLessThanOrEqual(1.2e-7 * exact + 2e-45);
      const t = Math.fround(value * 0.25);
      if (Number.isNaN(t)) expect(erf.data[i]).toBeNaN();
      else expect(Math.abs(erf.data[i]! - erfOf(t))).toBeLessThanOrEqual(2e-7);
    });
  });

  it("trains a transformer block like the eager backend and ONNX Runtime's own operators", async () => {
    const [width, heads, tokens, classes] = [24, 3, 6, 5];
    const params: Record<string, HostTensor> = {
      "norm.weight": random.floats([width], 0.5, 1.5),
      "norm.bias": random.floats([width], -0.1, 0.1),
      "qkv.weight": random.floats([3 * width, width], -0.3, 0.3),
      "qkv.bias": random.floats([3 * width], -0.1, 0.1),
      "fc1.weight": random.floats([4 * width, width], -0.3, 0.3),
      "fc1.bias": random.floats([4 * width], -0.1, 0.1),
      "fc2.weight": random.floats([width, 4 * width], -0.3, 0.3),
      "head.weight": random.floats([classes, width], -0.3, 0.3),
    };
    const logits = (p: Tensors, x: tf.Tensor) => {
      const h = layerNorm(x, p["norm.weight"]!, p["norm.bias"]!, 1e-6);
      const y = tf.add(x, attention(linear(h, p["qkv.weight"]!, p["qkv.bias"]!), heads));
      const z = gelu(linear(y, p["fc1.weight"]!, p["fc1.bias"]!));
      return linear(tf.mean(tf.add(y, linear(z, p["fc2.weight"]!)), 1), p["head.weight"]!);
    };
    const step: StepFunction = (state, { x, y }) => {
      const names = Object.keys(params);
      const own = Object.fromEntries(names.map((name) => [name, state[name]!]));
      const { loss, gradients } = valueAndGradients(
        (p) => ({ loss: tf.mean(softmaxCrossEntropy(logits(p, x!), y!)) }),
        own,
      );
      const next: Tensors = {};
      for (const name of names) {
        const m = tf.add(tf.mul(state[`m.${name}`]!, 0.9), tf.mul(gradients[name]!, 0.1));
        next[`m.${name}`] = m;
        next[name] = tf.sub(state[name]!, tf.mul(m, 0.05));
      }
      return { state: next, metrics: { loss } };
    };
    const state = { ...params };
    for (const [name, { shape }] of Object.entries(params))
      state[`m.${name}`] = floats([...shape], () => 0);
    const batch = {
      x: random.floats([9, tokens, width]),
      y: floats([9, classes], (i) => Number(i % classes === Math.floor(i / classes) % classes)),
    };
    const specs = { x: { shape: [9, tokens, width] }, y: { shape: [9, classes] } } as const;
    const executors = [
      compiledExecutor({ kernels: "generated" }),
      compiledExecutor({ kernels: "standard" }),
      eagerExecutor(),
    ];
    const runs = await Promise.all(
      executors.map(async (executor) => {
        const prepared = await executor.prepareStep(step, { state, batch: specs });
        const losses: number[] = [];
        for (let i = 0; i < 30; i++) losses.push((await prepared(batch)).loss!);
        const end = await prepared.state();
        prepared.dispose();
        return { losses, end };
      }),
    );
    const [generated, ...others] = runs;
    expect(generated!.losses.at(-1)).toBeLessThan(0.7 * generated!.losses[0]!);
    for (const other of others) {
      expectClose(generated!.losses, other.losses, { relative: 1e-4, absolute: 1e-5 });
      for (const [name, { data }] of Object.entries(other.end))
        expectClose(generated!.end[name]!.data, data, { relative: 1e-3, absolute: 1e-4 });
    }
  });

  it("gives the same numbers with any number of threads, again and again", async () => {
    const inputs = { x: random.floats([300, 400]), w: random.floats([400, 120]) };
    const results: Float32Array[] = [];
    for (const threads of [1, 2, 3]) {
      const program = await compile(
        ({ x, w }) => {
          const y = tf.exp(tf.mul(tf.matMul(x!, w!), 0.01));
          return { sums: tf.sum(tf.mul(y, y), 0) };
        },
        { x: { shape: [300, 400] }, w: { shape: [400, 120] } },
        { kernels: "generated", threads },
      );
      for (let i = 0; i < 3; i++) results.push((await program(inputs)).sums.data as Float32Array);
      program.dispose();
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });

  it("computes with negative zero and with no rows at all", async () => {
    const fn = ({ x }: Record<string, tf.Tensor>) => ({
      y: tf.mul(tf.add(tf.exp(x!), 1), -0),
      most: tf.max(tf.softmax(tf.softmax(x!)), 1, true),
    });
    for (const rows of [0, 2]) {
      const x = floats([rows, 3], () => 0.5);
      const program = await compile(fn, { x: { shape: [rows, 3] } }, { kernels: "generated" });
      expect(program.statistics.kernels).toBeGreaterThan(0);
      const { y, most } = await program({ x });
      program.dispose();
      expect(Array.from(y.data)).toEqual(Array(3 * rows).fill(-0));
      expectClose(most.data as Float32Array, Array(rows).fill(1 / 3), { absolute: 1e-6 });
    }
  });

  it("sums the columns of what is one number a row", async () => {
    await expectEager(
      ({ x, w }) => ({
        sum: tf.sum(tf.relu(tf.matMul(x!, w!)), 0),
        squares: tf.sum(tf.square(tf.matMul(tf.exp(x!), w!)), 0),
      }),
      { x: random.floats([100, 1]), w: random.floats([1, 1]) },
      1e-4,
    );
  });

  it("leaves alone what would not fit its stack, and tensors of many axes", async () => {
    const deep = ({ x }: Tensors) => {
      let y = x!;
      for (let i = 0; i < 40; i++)
        y = tf.exp(tf.mul(tf.sub(y, tf.mean(y, 1, true)), i % 2 === 0 ? -0.1 : 0.2));
      return { y };
    };
    expect(await expectEager(deep, { x: random.floats([3, 500]) })).toBe(1);
    const wide = compile(deep, { x: { shape: [3, 8192] } }, { kernels: "generated" });
    expect((await wide).statistics.kernels).toBe(0);
    (await wide).dispose();
    const x = random.floats([2, 1, 2, 1, 2, 1, 3, 4]);
    const program = await compile(
      ({ x }) => ({ y: tf.exp(tf.neg(x)) }),
      { x: { shape: [...x.shape] } },
      { kernels: "generated" },
    );
    const { y } = await program({ x });
    program.dispose();
    expectClose(
      y.data as Float32Array,
      Array.from(x.data, (v) => Math.exp(-v)),
      {
        relative: 1e-6,
      },
    );
  });

  it("forgets libraries that nobody has used for long", async () => {
    const file = (name: string) => join(cache, "kernels", name);
    mkdirSync(join(cache, "kernels"), { recursive: true, mode: 0o700 });
    const past = new Date(Date.now() - 61 * 24 * 3600 * 1000);
    for (const name of ["kernels-old.node", "kernels-new.node", "others-old.node"]) {
      writeFileSync(file(name), "");
      if (name.includes("old")) utimesSync(file(name), past, past);
    }
    const source = "int used;";
    const used = await compiler!.build("kernels", source);
    utimesSync(used, past, past);
    expect(await compiler!.build("kernels", source)).toBe(used);
    await compiler!.build("kernels", "int another;");
    expect(existsSync(used)).toBe(true);
    const left = (name: string) => existsSync(file(name));
    expect(["kernels-old.node", "kernels-new.node", "others-old.node"].map(left)).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("refuses arrays of a wrong size, and runs after it was disposed of", async () => {
    const step: StepFunction = ({ w }, { x }) => ({
      state: { w: tf.sub(w!, tf.mul(tf.exp(x!), 0.1)) },
      metrics: { sum: tf.sum(w!) },
    });
    const w = floats([4], () => 1);
    const compiled = await compileStep(
      step,
      { state: { w }, batch: { x: { shape: [4] } } },
      { kernels: "generated" },
    );
    expect(compiled.statistics.kernels).toBe(1);
    expect((await failure(() => compiled({ x: floats([3], () => 0) }))).code).toBe("shape");
    const running = compiled({ x: floats([4], () => 0) });
    expect((await running).sum).toBeCloseTo(4, 6);
    const last = compiled({ x: floats([4], () => 0) });
    await Promise.resolve();
    compiled.dispose();
    await last.catch((error) => expect(String(error)).toMatch(/disposed/));
    expect((await failure(() => compiled({ x: floats([4], () => 0) }))).message).toMatch(
      /disposed/,
    );
  });

  it.skipIf(process.arch !== "x64")("multiplies with narrower vectors too", async () => {
    for (const flag of ["-march=native", "-mno-avx512f", "-mno-avx"]) {
      const program = join(cache, `product${flag}`);
      const cc = (process.env.CC || "cc").split(" ");
      writeFileSync(`${program}.c`, PRODUCT);
      const native = fileURLToPath(new URL("../../native", import.meta.url));
      const args = ["-O1", "-march=native", flag, "-w", `-I${native}`, "-o", program];
      execFileSync(cc[0]!, [...cc.slice(1), ...args, `${program}.c`, "-lm"]);
      expect(execFileSync(program, { encoding: "utf8" })).toBe("0 wrong\n");
    }
  });
});

/** Products of whole numbers, all forms and sizes around the tiles, against three plain loops: equal to the bit. */
const PRODUCT = `
#include "product.h"
#include <stdio.h>
int main(void) {
  static float a[70 * 400], b[400 * 100], c[450 * 33 + 1];
  for (int i = 0; i < 70 * 400; i++) a[i] = i % 7 - 3;
  for (int i = 0; i < 400 * 100; i++) b[i] = i % 5 - 2;
  const float *in[] = {a, b};
  float *out[] = {c};
  const Call call = {in, out, NULL};
  const size_t sizes[][3] = {{1, 1, 1}, {8, 48, 3}, {9, 49, 400}, {70, 100, 385}, {4, 24, 384}, {7, 100, 5},
                             {70, 80, 67}, {33, 450, 40}, {450, 33, 40}, {20, 20, 1400}};
  long wrong = 0;
  for (int s = 0; s < 10; s++)
    for (int form = 0; form < 8; form++) {
      const size_t M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
      const int ta = form & 1, tb = form >> 1 & 1;
      c[M * N] = 77;
      for (size_t part = 0; part < 3; part++) (form < 4 ? product : product16)(&call, part, 3, M, N, K, ta, tb, 0.5f);
      for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
          float sum = 0;
          for (size_t k = 0; k < K; k++) sum += (ta ? a[k * M + m] : a[m * K + k]) * (tb ? b[n * K + k] : b[k * N + n]);
          wrong += c[m * N + n] != 0.5f * sum;
        }
      wrong += c[M * N] != 77;
    }
  printf("%ld wrong\\n", wrong);
}
static Operator operators[1];
DMAE_OPERATORS
`;

describe("where kernels cannot be generated", () => {
  const program = () => {
    const graph = new Graph();
    return { graph, outputs: [graph.input("x", "float32", [2])] };
  };

  it("goes on without them, unless they were asked for", async () => {
    const none = () => cCompiler("no-such-compiler");
    expect(await none()).toBeNull();
    expect(await generateKernels("test", program, {}, true, none)).toBeNull();
    const error = await failure(() =>
      generateKernels("test", program, { kernels: "generated" }, true, none),
    );
    expect(error.code).toBe("unsupported");
    expect(error.message).toMatch(/C compiler/);
    const elsewhere = { kernels: "generated", provider: "cuda" } as const;
    expect((await failure(() => generateKernels("test", program, elsewhere, true))).code).toBe(
      "unsupported",
    );
  });

  it("does not compile what is small, a function, or told not to", async () => {
    expect(await generateKernels("test", program, {}, true)).toBeNull();
    expect(await generateKernels("test", program, {}, false)).toBeNull();
    expect(await generateKernels("test", program, { kernels: "standard" }, true)).toBeNull();
    const wrong = { kernels: "fast" as never };
    expect((await failure(() => generateKernels("test", program, wrong, true))).code).toBe(
      "argument",
    );
  });

  it("reports a compiler that fails with its words", async () => {
    if (!compiler) return;
    const error = await failure(() => compiler.build("kernels", "this is no C"));
    expect(error.code).toBe("unsupported");
    expect(error.message).toMatch(/kernels: "standard"/);
  });
});

/** erf in float64: its Taylor series, summed until it stops changing (|x| < 4.2), else the sign. */
function erfOf(x: number): number {
  if (Math.abs(x) >= 4.2) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < 300; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
