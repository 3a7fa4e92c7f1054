import "@tensorflow/tfjs-backend-cpu";
import { type HostTensor, key, normal } from "@dmae/core";
import { gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose, largestDifference } from "../../../testing/expect-close.ts";
import { failure } from "../../../testing/failure.ts";
import { activationScale, quantizeWeights } from "./graph/quantize-graph.ts";
import { compile, compiledExecutor, exportOnnx, quantize } from "./index.ts";
import { leastSquaresRange, percentileRange } from "./quantize.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const gaussian = (seed: number, shape: number[], scale = 1): HostTensor => ({
  dtype: "float32",
  shape,
  data: normal(
    key(seed),
    shape.reduce((n, d) => n * d, 1),
    { standardDeviation: scale },
  ) as Float32Array,
});

const params = {
  "norm.weight": gaussian(1, [64]),
  "norm.bias": gaussian(2, [64]),
  "fc1.weight": gaussian(3, [128, 64], 0.2),
  "fc1.bias": gaussian(4, [128]),
  "fc2.weight": gaussian(5, [64, 128], 0.2),
  "fc2.bias": gaussian(6, [64]),
  "head.weight": gaussian(7, [5, 64], 0.2),
  "head.bias": gaussian(8, [5]),
};

function mlp({ x, ...rest }: Record<string, tf.Tensor>) {
  const p = (name: string) => rest[name]!;
  const normed = layerNorm(x!, p("norm.weight"), p("norm.bias"));
  const hidden = gelu(linear(normed, p("fc1.weight"), p("fc1.bias")));
  const out = linear(hidden, p("fc2.weight"), p("fc2.bias"));
  return { y: linear(out, p("head.weight"), p("head.bias")) };
}

const specs = { x: { shape: [6, 64] } };
const calibration = Array.from({ length: 40 }, (_, i) => ({ x: gaussian(20 + i, [6, 64]) }));
const x = gaussian(40, [6, 64]);

describe("scales", () => {
  it("maps a range that holds 0 onto 0 … 255", () => {
    expect(activationScale({ min: -1, max: 254 })).toEqual({ scale: 1, zeroPoint: 1 });
    expect(activationScale({ min: 2, max: 255 })).toEqual({ scale: 1, zeroPoint: 0 });
    expect(activationScale({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
  });

  it("quantizes weights by output channel, symmetric, within the bits", () => {
    const data = Float32Array.of(0.5, -2, 0.5, 0, 0, 0); // [3 outputs, 2 inputs]
    const { values, scales } = quantizeWeights(data, 2, 3, true, 7);
    expect(Array.from(values)).toEqual([16, 63, 0, -63, 0, 0]); // [2 inputs, 3 outputs]
    expectClose(scales, [2 / 63, 0.5 / 63, 1], { relative: 1e-6 });
  });

  it("cuts outliers by percentile and by squared error", () => {
    const counts = new Float64Array(1000).fill(1000, 0, 100);
    counts[999] = 1; // one value far out
    expectClose([percentileRange({ min: 0, max: 1000 }, counts).max], [100], { absolute: 1e-9 });
    expect(leastSquaresRange({ min: 0, max: 1000 }, counts).max).toBeLessThan(1000);
    const flat = new Float64Array(1000).fill(10);
    expect(leastSquaresRange({ min: 0, max: 1000 }, flat).max).toBe(1000);
  });
});

describe("int8 programs", () => {
  it("stay near float32, and every row is independent of the others", async () => {
    const float = await compile({ fn: mlp, specs, constants: params });
    const expected = (await float({ x })).y.data as Float32Array;
    float.dispose();
    const size = Math.max(...expected.map(Math.abs));
    for (const rule of ["minmax", "percentile", "mse"] as const)
      for (const [weightBits, bound] of [
        [7, 0.04],
        [8, 0.02],
      ] as const) {
        const quantization = await quantize(
          { fn: mlp, specs, constants: params },
          { calibration, rule, weightBits },
        );
        expect(Object.keys(quantization.ranges)).toEqual(["fc1.weight", "fc2.weight"]); // the head is too small
        const options = { precision: "int8" as const, quantization };
        const program = await compile({ fn: mlp, specs, constants: params }, options);
        const y = (await program({ x })).y.data as Float32Array;
        expect(largestDifference(y, expected)).toBeLessThan(bound * size);
        expect(largestDifference(y, expected)).toBeGreaterThan(0); // it is quantized
        program.dispose();
        const alone = await compile({ fn: mlp, specs: { x: [1, 64] }, constants: params }, options);
        const row = { ...x, shape: [1, 64], data: x.data.slice(128, 192) };
        expect(Array.from((await alone({ x: row })).y.data)).toEqual(Array.from(y.slice(10, 15)));
        alone.dispose();
      }
  });

  it("run through the executor and as a file at any batch size", async () => {
    const stored = JSON.stringify(
      await quantize({ fn: mlp, specs, constants: params }, { calibration }),
    );
    const quantization = JSON.parse(stored);
    const executor = compiledExecutor({ precision: "int8", quantization });
    const fn = await executor.prepareFunction({ fn: mlp, specs, constants: params });
    const y = (await fn({ x })).y!.data as Float32Array;
    fn.dispose();
    const bytes = exportOnnx(
      { fn: mlp, specs, constants: params },
      { precision: "int8", quantization, dynamicBatch: true },
    );
    const session = await ort.InferenceSession.create(bytes);
    const result = await session.run({
      x: new ort.Tensor("float32", x.data as Float32Array, [6, 64]),
    });
    expectClose(result.y!.data as Float32Array, y, { absolute: 1e-6 });
    expect(new TextDecoder("latin1").decode(bytes)).not.toContain("DynamicQuantizeLinear");
    await session.release();
  });

  it("give the same bits with any number of threads, in float32 too", async () => {
    const rows = 384; // enough for ONNX Runtime to share them out
    const specs = { x: { shape: [rows, 64] } };
    const x = gaussian(41, [rows, 64]);
    const calibration = [{ x: gaussian(42, [rows, 64]) }];
    const quantization = await quantize({ fn: mlp, specs, constants: params }, { calibration });
    for (const precision of ["float32", "int8"] as const) {
      const results: number[][] = [];
      for (const threads of [1, 2, 3]) {
        const options = { precision, quantization, threads };
        const program = await compile({ fn: mlp, specs, constants: params }, options);
        results.push(Array.from((await program({ x })).y.data));
        program.dispose();
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    }
  });

  it("quantize only what include names", async () => {
    const include = (name: string) => name === "fc2.weight";
    const { ranges } = await quantize(
      { fn: mlp, specs, constants: params },
      { calibration, include },
    );
    expect(Object.keys(ranges)).toEqual(["fc2.weight"]);
  });

  it("refuse missing scales, empty calibration, nothing to quantize, training", async () => {
    const missing = await failure(() =>
      compile({ fn: mlp, specs, constants: params }, { precision: "int8" }),
    );
    expect(missing.message).toContain("precision int8 needs quantization");
    const empty = await failure(() =>
      quantize({ fn: mlp, specs, constants: params }, { calibration: [] }),
    );
    expect(empty.message).toContain("calibration must hold at least one batch");
    const nothing = await failure(() =>
      quantize({ fn: ({ x }) => ({ y: tf.exp(x) }), specs }, { calibration }),
    );
    expect(nothing.message).toContain("no matrix product with constant weights");
    const small = await failure(() =>
      quantize(
        {
          fn: ({ x, w }) => ({ y: tf.matMul(x, w!) }),
          specs,
          constants: { w: gaussian(1, [64, 8]) },
        },
        { calibration },
      ),
    );
    expect(small.message).toContain("worth quantizing: 1 are smaller than 32 x 32");
    const open = await failure(() =>
      quantize(
        { fn: ({ x, w }) => ({ y: tf.matMul(x, w) }), specs: { ...specs, w: { shape: [64, 64] } } },
        { calibration: [] },
      ),
    );
    expect(open.message).toContain(
      "1 have weights that are computed or inputs: pass parameters as constants",
    );
    const none = await failure(() =>
      quantize({ fn: mlp, specs, constants: params }, { calibration, include: () => false }),
    );
    expect(none.message).toBe("quantize: include chose none of fc1.weight, fc2.weight");
    const rule = await failure(() =>
      quantize({ fn: mlp, specs, constants: params }, { calibration, rule: "max" as never }),
    );
    expect(rule.message).toBe('quantize: rule must be "minmax", "percentile" or "mse", got "max"');
    const uncalibrated = await failure(() =>
      quantize({ fn: mlp, specs, constants: params }, {} as never),
    );
    expect(uncalibrated.message).toContain("calibration must be an array (or iterable) of inputs");
    const bits = await failure(() =>
      quantize({ fn: mlp, specs, constants: params }, { calibration, weightBits: 4 as never }),
    );
    expect(bits.message).toContain("weightBits must be 7 or 8, got 4");
    const training = await failure(() =>
      compiledExecutor({ precision: "int8" }).prepareStep(() => ({ state: {}, metrics: {} }), {
        state: {},
        batch: {},
      }),
    );
    expect(training.code).toBe("unsupported");
  });

  it("refuse scales of another function, and what are no scales", async () => {
    const refusal = async (quantization: unknown) => {
      const options = { precision: "int8", quantization } as never;
      const compiled = await failure(() => compile({ fn: mlp, specs, constants: params }, options));
      const exported = await failure(() =>
        exportOnnx({ fn: mlp, specs, constants: params }, options),
      );
      expect(exported.message.replace("exportOnnx", "compile")).toBe(compiled.message);
      return compiled.message;
    };
    const range = { min: 0, max: 1 };
    const other = { weightBits: 7, ranges: { "fc1.weight": range, other: range } };
    expect(await refusal(other)).toBe(
      "compile: quantization has ranges for other, but the products that can run in int8 are fc1.weight, fc2.weight; " +
        "call quantize with this function and these constants",
    );
    expect(await refusal({})).toContain("quantization must be what quantize returns, {weightBits");
    expect(await refusal({ ...other, weightBits: 4 })).toContain("must be 7 or 8, got 4");
    expect(await refusal({ weightBits: 7, ranges: {} })).toContain(
      "its ranges are an empty object",
    );
    expect(await refusal({ weightBits: 7 })).toContain("its ranges are undefined");
    expect(await refusal({ ...other, weightBits: undefined })).toContain("must be 7 or 8");
    for (const bad of [{ min: 0 }, { min: 1, max: 0 }, { min: 0, max: Number.NaN }, null])
      expect(await refusal({ weightBits: 7, ranges: { "fc1.weight": bad } })).toContain(
        "the range of fc1.weight must be {min, max}, finite and in order",
      );
  });

  it("say that convolutions are not quantized", async () => {
    const constants = { k: gaussian(1, [3, 3, 32, 32]), head: gaussian(2, [32, 10]) };
    const cnn = ({ x, k, head }: Record<string, tf.Tensor>) => {
      const features = tf.conv2d(x as tf.Tensor4D, k as tf.Tensor4D, 1, "same");
      return { y: tf.matMul(tf.mean(features, [1, 2]), head!) };
    };
    const images = { x: { shape: [1, 4, 4, 32] } };
    const error = await failure(() =>
      quantize({ fn: cnn, specs: images, constants }, { calibration: [] }),
    );
    expect(error.message).toMatch(/: 1 are smaller .*; convolutions are not quantized$/);
  });
});
