import "@tensorflow/tfjs-backend-cpu";
import { eagerExecutor, type StepFunction } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { compiledExecutor } from "../index.ts";
import { draws } from "../testing/sweep.ts";
import { binary, gemm, reshape, unary } from "./build.ts";
import { Graph, type Value } from "./graph.ts";
import { inPlaceInputs } from "./in-place.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("inPlaceInputs", () => {
  it("allows moments, whose readers come before the writer", () => {
    const g = new Graph();
    const m = g.input("m", "float32", [4]);
    const gradient = g.input("g", "float32", [4]);
    const scaled = binary(g, "Mul", m, g.scalar("float32", 0.9));
    const output = binary(g, "Add", scaled, gradient);
    expect(inPlaceInputs({ graph: g, outputs: [output] }, [{ input: m, output }])).toEqual(
      new Set([m]),
    );
  });

  it("allows an elementwise writer that reads the input itself", () => {
    const g = new Graph();
    const p = g.input("p", "float32", [4]);
    const output = binary(g, "Sub", p, g.input("d", "float32", [4]));
    expect(inPlaceInputs({ graph: g, outputs: [output] }, [{ input: p, output }]).size).toBe(1);
  });

  it("refuses where ONNX Runtime may join a reader and the writer, or sees a reshape as the same memory", () => {
    const refused = (make: (g: Graph, h: Value) => [output: Value, ...more: Value[]]) => {
      const g = new Graph();
      const h = g.input("h", "float32", [4, 4]);
      const outputs = make(g, h);
      return inPlaceInputs({ graph: g, outputs }, [{ input: h, output: outputs[0] }]).size === 0;
    };
    const w = (g: Graph) => g.input("w", "float32", [4, 4]);
    expect(refused((g, h) => [unary(g, "Relu", gemm(g, h, w(g), false, false))])).toBe(true);
    expect(
      refused((g, h) => [
        binary(g, "Mul", h, unary(g, "Sigmoid", binary(g, "Mul", h, g.scalar("float32", 2)))),
      ]),
    ).toBe(true);
    // The product reads the reshaped input, and does not come before the sum.
    expect(
      refused((g, h) => {
        const row = reshape(g, h, [1, 16]);
        return [binary(g, "Add", h, w(g)), gemm(g, row, row, false, true)];
      }),
    ).toBe(true);
    expect(refused((g, h) => [binary(g, "Add", h, w(g)), reshape(g, h, [16])])).toBe(true);
    expect(
      refused((g, h) => [
        reshape(g, binary(g, "Add", reshape(g, h, [16]), g.input("b", "float32", [16])), [4, 4]),
      ]),
    ).toBe(false);
  });

  it("allows a square of the input", () => {
    const g = new Graph();
    const v = g.input("v", "float32", [4]);
    const output = binary(g, "Mul", v, v);
    expect(inPlaceInputs({ graph: g, outputs: [output] }, [{ input: v, output }]).size).toBe(1);
  });

  it("refuses where another node, another output or a product reads the input", () => {
    const g = new Graph();
    const p = g.input("p", "float32", [4, 4]);
    const d = g.input("d", "float32", [4, 4]);
    const output = binary(g, "Sub", p, d);
    const pairs = [{ input: p, output }];
    const elsewhere = unary(g, "Exp", p);
    expect(inPlaceInputs({ graph: g, outputs: [output, elsewhere] }, pairs).size).toBe(0);
    expect(inPlaceInputs({ graph: g, outputs: [output, p] }, pairs).size).toBe(0);
    const product = gemm(g, p, d, false, false);
    expect(
      inPlaceInputs({ graph: g, outputs: [product] }, [{ input: p, output: product }]).size,
    ).toBe(0);
    const passed = [{ input: p, output: p }];
    expect(inPlaceInputs({ graph: g, outputs: [p] }, passed).size).toBe(0);
  });
});

describe("recurrent states", () => {
  const d = draws(3, "recurrent");
  type Update = (h: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => tf.Tensor;
  const updates: Record<string, Update> = {
    tanh: (h, w, b) => tf.tanh(tf.add(tf.matMul(h, w), b)),
    "without bias": (h, w) => tf.tanh(tf.matMul(h, w)),
    relu: (h, w, b) => tf.relu(tf.add(tf.matMul(h, w), b)),
    "residual product": (h, w) => tf.add(h, tf.mul(tf.matMul(h, w), 0.5)),
    gate: (h) => tf.mul(h, tf.sigmoid(tf.mul(h, 2))),
    "gate of 1.702": (h) => tf.mul(h, tf.sigmoid(tf.mul(h, 1.702))),
    reversed: (h) => tf.gather(tf.reshape(h, [64 * 48]), backwards()),
    "its own dot product": (h) => {
      const row = tf.reshape(h, [1, 64 * 48]);
      return tf.mul(h, tf.reshape(tf.matMul(row, row, false, true), []));
    },
    moment: (h, _, b) => tf.add(tf.mul(h, 0.9), b),
    softmax: (h) => tf.softmax(tf.sub(h, tf.mean(h, 1, true))),
  };
  const backwards = () =>
    tf.tensor2d(
      Int32Array.from({ length: 64 * 48 }, (_, i) => 64 * 48 - 1 - i),
      [64, 48],
      "int32",
    );

  it.each(Object.keys(updates))("%s: three steps are those of the eager backend", async (name) => {
    const step: StepFunction = ({ h }, { w, b }) => ({
      state: { h: updates[name]!(h!, w!, b!) },
      metrics: {},
    });
    const state = { h: d.floats([64, 48], -0.1, 0.1) };
    const batch = { w: d.floats([48, 48], -0.3, 0.3), b: d.floats([48], -1, 1) };
    const specs = { w: { shape: [48, 48] }, b: { shape: [48] } };
    const ends = await Promise.all(
      [compiledExecutor(), eagerExecutor()].map(async (executor) => {
        const prepared = await executor.prepareStep(step, { state, batch: specs });
        for (let i = 0; i < 3; i++) await prepared(batch);
        const { h } = await prepared.state();
        prepared.dispose();
        return h!.data;
      }),
    );
    expectClose(ends[0]!, ends[1]!, { relative: 1e-5, absolute: 1e-6 });
  });
});
