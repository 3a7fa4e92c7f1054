import "@tensorflow/tfjs-backend-cpu";
import { linear } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { gemm } from "./build.ts";
import { Graph, liveNodes } from "./graph.ts";
import { compile } from "./index.ts";
import { splitSums } from "./split-sums.ts";

const opsOf = (rows: number, beta: number) => {
  const g = new Graph();
  const input = (name: string, ...shape: number[]) => g.input(name, "float32", shape);
  const [x, w, b] = [input("x", rows, 8), input("w", 256, 8), input("b", 256)];
  const output = gemm(g, x, w, false, true, b, 0.5, beta);
  const { graph, outputs } = splitSums({ graph: g, outputs: [output] });
  return liveNodes(graph, outputs).map(({ op, inputs }) => `${op} ${inputs.length}`);
};

it("splits the bias of large products off, scaled as it was", () => {
  expect(opsOf(512, 1)).toEqual(["Gemm 2", "Add 2"]);
  expect(opsOf(512, 0.5).sort()).toEqual(["Add 2", "Gemm 2", "Mul 2"]);
  expect(opsOf(511, 1)).toEqual(["Gemm 3"]);
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
  const { data } = await compiled.call(host as never);
  expectClose(data, fn(values).dataSync(), { absolute: 1e-6 });
  compiled.dispose();
  tf.dispose(values);
});
