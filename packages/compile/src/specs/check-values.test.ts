import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import {
  type CompiledFunction,
  compile,
  compiledExecutor,
  exportOnnx,
  quantize,
} from "../index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const vector = (...values: number[]): HostTensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});

/** Plain arrays, which constants may not be: no spec says their shape. */
const plain = (): [unknown, string][] => [
  [Float32Array.of(1, 2), "host tensor {dtype, shape, data}, got a bare Float32Array"],
  [[1, 2], "host tensor {dtype, shape, data}, got an array"],
];

/** Values that are no host tensor of shape [2], and what is said about them. */
const wrong = (): [unknown, string][] => [
  [null, "got null"],
  [tf.scalar(1), "got a tf.Tensor; its dataSync() gives the data"],
  [{ dtype: "float32", data: Float32Array.of(1, 2) }, "got an object with dtype, data"],
  [{ ...vector(1, 2), dtype: "float64" }, 'got dtype "float64"; use "float32", "int32" or "bool"'],
  [{ shape: [2], data: Float32Array.of(1, 2) }, "got dtype undefined"],
  [
    { ...vector(1, 2), data: Float32Array.of(1) },
    "Float32Array of 2 values, got Float32Array of 1",
  ],
  [{ ...vector(1, 2), data: [1, 2] }, "Float32Array of 2 values, got an array"],
  [{ ...vector(1, 2), data: undefined }, "Float32Array of 2 values, got undefined"],
  [vector(1, Number.NaN), "holds NaN at element 1"],
];

describe("inputs", () => {
  const run = async (inputs: unknown) => {
    const program: CompiledFunction<{ x: { shape: number[] } }, tf.Tensor> = await compile(
      ({ x }) => tf.exp(x),
      { x: { shape: [2] } },
    );
    const error = await failure(() => program(inputs as never));
    program.dispose();
    return error.message;
  };

  it("that are no host tensors are named for what they are", async () => {
    expect(await run({ x: null })).toBe("call: inputs must be x; missing: x, unknown: none");
    for (const [value, message] of wrong().slice(1)) {
      expect(await run({ x: value })).toMatch(/^call: x (must|holds)/);
      expect(await run({ x: value })).toContain(message);
    }
  });

  it("that are no record are named for what they are", async () => {
    expect(await run(undefined)).toBe("call: inputs must be a record of x, got undefined");
    expect(await run(null)).toBe("call: inputs must be a record of x, got null");
    expect(await run([vector(1, 2)])).toContain("got an array");
    expect(await run(tf.scalar(1))).toContain("got a tf.Tensor");
  });

  it("in another nesting are missing and unknown", async () => {
    const specs = { model: { w: { b: { shape: [2] } } } };
    const program = await compile(({ model }) => tf.exp(model.w.b), specs);
    const call = (inputs: object) => failure(() => program(inputs as never));
    expect((await call({ model: { w: vector(1, 2) } })).message).toBe(
      "call: inputs must be model/w/b; missing: model/w/b, unknown: model/w",
    );
    program.dispose();
  });
});

describe("constants", () => {
  const specs = { x: { shape: [2] } };
  const fn = ({ x, w }: Record<string, tf.Tensor>) => ({ y: tf.add(x!, w!) });
  const executor = compiledExecutor();
  const takers: [string, (constants: never) => unknown][] = [
    ["compile", (constants) => compile({ fn, specs, constants })],
    ["exportOnnx", (constants) => exportOnnx({ fn, specs, constants })],
    ["quantize", (constants) => quantize({ fn, specs, constants }, { calibration: [] })],
    ["prepareFunction", (constants) => executor.prepareFunction({ fn, specs, constants })],
  ];

  it.each(takers)("of %s are checked as inputs are", async (caller, take) => {
    for (const [value, message] of [...wrong(), ...plain()]) {
      const error = await failure(() => take({ w: value } as never));
      expect(error.message).toMatch(new RegExp(`^${caller}: w (must|holds)`));
      expect(error.message).toContain(message);
    }
    const all = await failure(() => take([vector(1, 2)] as never));
    expect(all.message).toBe(`${caller}: constants must be a record of host tensors, got an array`);
  });

  it.each(takers)("of %s must not have the name of an input", async (caller, take) => {
    const error = await failure(() => take({ x: vector(1, 2), w: vector(3, 4) } as never));
    expect(error.message).toBe(
      `${caller}: x is both an input and one of the constants; leave it out of one of the two`,
    );
  });

  it("must not have the name of a record of inputs", async () => {
    const constants = { m: vector(1, 2) };
    const nested = { m: { w: { shape: [2] } } };
    const error = await failure(() =>
      compile({ fn: ({ m }) => tf.exp(m.w), specs: nested, constants }),
    );
    expect(error.message).toContain("m is both an input and one of the constants");
  });
});
