import "@tensorflow/tfjs-backend-cpu";
import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { failure } from "../../../../testing/failure.ts";
import { optimize } from "../graph/optimize.ts";
import { compile, compiledExecutor, compileStep, quantize } from "../index.ts";
import { encodeModel } from "../onnx/onnx-model.ts";
import { trace } from "../tracing/trace.ts";
import { createSession, loadRuntime } from "./runtime.ts";

it.each([
  [20_000, "all"],
  [20_001, "disabled"],
])("a graph of %d nodes is loaded with ONNX Runtime's passes: %s", async (nodes, level) => {
  const created: object[] = [];
  const InferenceSession = { create: async (_: Uint8Array, how: object) => created.push(how) };
  const onnxruntime = { Tensor: ort.Tensor, InferenceSession };
  await createSession("compile", new Uint8Array(), { onnxruntime }, [], nodes);
  expect(created).toMatchObject([{ graphOptimizationLevel: level }]);
});

describe("loadRuntime", () => {
  it("says in one line what to install", async () => {
    const absent = () => Promise.reject(new Error("Cannot find package 'onnxruntime-node'"));
    const error = await loadRuntime("compile", {}, absent).catch((e: unknown) => e);
    expect(DmaeError.isInstance(error, "unsupported")).toBe(true);
    expect((error as Error).message).toBe(
      "compile: needs ONNX Runtime; run `npm install onnxruntime-node`",
    );
  });

  it("takes the module that it is given", async () => {
    const created: object[] = [];
    const counting = {
      Tensor: ort.Tensor,
      InferenceSession: {
        create(model: Uint8Array, options: object) {
          created.push(options);
          return ort.InferenceSession.create(model, options);
        },
      },
    };
    const program = await compile(
      ({ x }) => tf.exp(x),
      { x: { shape: [1] } },
      { onnxruntime: counting, threads: 1 },
    );
    const x = { dtype: "float32", shape: [1], data: Float32Array.of(0) } as const;
    expect(Array.from((await program({ x })).data)).toEqual([1]);
    expect(created).toMatchObject([{ executionProviders: ["cpu"], intraOpNumThreads: 1 }]);
    program.dispose();
  });
});

describe("options", () => {
  const x = { shape: [2] };
  const takers: [string, (options: object) => unknown][] = [
    ["compile", (options) => compile(({ x }) => tf.exp(x), { x }, options)],
    [
      "compileStep",
      (options) =>
        compileStep((state) => ({ state, metrics: {} }), { state: {}, batch: {} }, options),
    ],
    ["compiledExecutor", (options) => compiledExecutor(options)],
    [
      "quantize",
      (options) =>
        quantize({ fn: ({ x }) => tf.exp(x), specs: { x } }, { calibration: [], ...options }),
    ],
  ];

  it.each(takers)("%s refuses threads that are no positive integer", async (caller, take) => {
    for (const threads of [0, -1, 1.5, "2", Number.NaN, null])
      expect((await failure(() => take({ threads }))).message).toBe(
        `${caller}: threads must be a positive integer, got ${typeof threads === "string" ? `"${threads}"` : threads}`,
      );
  });

  it.each(takers)("%s lists the providers", async (caller, take) => {
    for (const provider of ["CPU", "gpu"])
      expect((await failure(() => take({ provider }))).message).toBe(
        `${caller}: provider must be "cpu", "cuda", "webgpu", "coreml", "dml" or "wasm", got "${provider}"`,
      );
  });

  it.each(takers)("%s refuses modules that are not ONNX Runtime", async (caller, take) => {
    expect((await failure(() => take({ onnxruntime: { default: {} } }))).message).toBe(
      `${caller}: onnxruntime must be the module onnxruntime-node or onnxruntime-web, got an object with default`,
    );
  });
});

it("products without FusedMatMul give the same, for providers that lack it", async () => {
  const fn = ({ a, b }: Record<string, tf.Tensor>) => ({
    y: tf.mul(tf.matMul(a!, b!, true, true), 0.5),
  });
  const traced = trace("compile", fn, { a: { shape: [2, 3, 4] }, b: { shape: [2, 5, 3] } });
  const values = (n: number, s: number) =>
    Float32Array.from({ length: n }, (_, i) => Math.sin(s * i));
  const a = new ort.Tensor("float32", values(24, 1), [2, 3, 4]);
  const b = new ort.Tensor("float32", values(30, 2), [2, 5, 3]);
  const results: Float32Array[] = [];
  for (const plainProducts of [false, true]) {
    const { bytes } = encodeModel({ ...optimize(traced, { plainProducts }), outputNames: ["y"] });
    expect(new TextDecoder("latin1").decode(bytes).includes("FusedMatMul")).toBe(!plainProducts);
    const session = await ort.InferenceSession.create(bytes);
    results.push((await session.run({ a, b })).y!.data as Float32Array);
    await session.release();
  }
  expectClose(results[1]!, results[0]!, { absolute: 1e-6 });
});
