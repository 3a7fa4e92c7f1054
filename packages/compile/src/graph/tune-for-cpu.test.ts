import "@tensorflow/tfjs-backend-cpu";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { compile } from "../index.ts";
import { binary, gemm, reduce, unary } from "./build.ts";
import { Graph, liveNodes } from "./graph.ts";
import { tuneForCpu } from "./tune-for-cpu.ts";

const opsOf = (rows: number, beta: number) => {
  const g = new Graph();
  const input = (name: string, ...shape: number[]) => g.input(name, "float32", shape);
  const [x, w, b] = [input("x", rows, 8), input("w", 256, 8), input("b", 256)];
  const output = gemm(g, x, w, false, true, b, 0.5, beta);
  const { graph, outputs } = tuneForCpu({ graph: g, outputs: [output] });
  return liveNodes(graph, outputs).map(({ op, inputs }) => `${op} ${inputs.length}`);
};

it("splits the bias of large products off, scaled as it was", () => {
  expect(opsOf(512, 1)).toEqual(["Gemm 2", "Add 2"]);
  expect(opsOf(512, 0.5).sort()).toEqual(["Add 2", "Gemm 2", "Mul 2"]);
  expect(opsOf(511, 1)).toEqual(["Gemm 3"]);
});

it("sums rows by a product with ones", () => {
  const g = new Graph();
  const many = reduce(g, "ReduceSum", g.input("x", "float32", [64, 3]), [0]);
  const few = reduce(g, "ReduceSum", g.input("y", "float32", [63, 3]), [0]);
  const across = reduce(g, "ReduceSum", g.input("z", "float32", [64, 3]), [1]);
  const { graph, outputs } = tuneForCpu({ graph: g, outputs: [many, few, across] });
  const ops = liveNodes(graph, outputs).map(({ op }) => op);
  expect(ops.sort()).toEqual(["Gemm", "ReduceSum", "ReduceSum", "Reshape"]);
});

it.each([
  [
    [16, 250, 250],
    [0, 1, 2],
  ],
  [[1 << 18, 4], [0]],
  [[4, 1 << 18], [1]],
  [
    [2, 512, 512, 3],
    [1, 2],
  ],
])(
  "sums many equal numbers of %j over %j to as many digits as a float32 has",
  async (shape, axes) => {
    const fn = ({ x }: { x: tf.Tensor }) => ({ mean: tf.mean(x, axes), sum: tf.sum(x, axes) });
    const compiled = await compile(fn, { x: { shape } });
    const terms = axes.reduce((product, axis) => product * shape[axis]!, 1);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.1);
    const { mean, sum } = await compiled({ x: { dtype: "float32", shape, data } });
    const wanted = mean.data.map(() => Math.fround(0.1));
    expectClose(mean.data, wanted, { relative: 5e-6 });
    expectClose(
      sum.data.map((value) => value / terms),
      wanted,
      { relative: 5e-6 },
    );
    expect(mean.shape).toEqual(shape.filter((_, axis) => !axes.includes(axis)));
    compiled.dispose();
  },
);

it("computes a large product again for the weight gradient, if its operands are kept", () => {
  const count = (rows: number, keep: boolean) => {
    const g = new Graph();
    const input = (name: string, columns: number) => g.input(name, "float32", [rows, columns]);
    const [x, dy] = [input("x", 1024), input("dy", 1)];
    const [t, s] = [unary(g, "Exp", x), unary(g, "Erf", x)];
    const y = binary(g, "Mul", t, s);
    const forward = reduce(g, "ReduceSum", y, [1]);
    const gradient = gemm(g, dy, y, true, false);
    const { graph, outputs } = tuneForCpu({
      graph: g,
      outputs: [forward, gradient, ...(keep ? [t, s] : [])],
    });
    return liveNodes(graph, outputs).filter(({ op }) => op === "Mul").length;
  };
  expect(count(4096, true)).toBe(2);
  expect(count(4096, false)).toBe(1);
  expect(count(4095, true)).toBe(1);
});

it("changes no result", async () => {
  const shapes = { x: { shape: [520, 8] }, w: { shape: [256, 8] }, b: { shape: [256] } };
  const fn = ({ x, w, b }: Record<keyof typeof shapes, tf.Tensor>) => tf.mul(linear(x, w, b), 0.25);
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, { shape }], i) => [
      name,
      tf.randomNormal(shape, 0, 1, "float32", i),
    ]),
  ) as Record<keyof typeof shapes, tf.Tensor>;
  const host = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      { dtype: "float32" as const, shape: value.shape, data: value.dataSync() as Float32Array },
    ]),
  );
  const compiled = await compile(fn, shapes);
  const { data } = await compiled(host as never);
  expectClose(data, fn(values).dataSync(), { absolute: 1e-6 });
  compiled.dispose();
  tf.dispose(values);
});
