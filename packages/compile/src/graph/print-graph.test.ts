import * as tf from "@tensorflow/tfjs-core";
import { afterEach, expect, it, vi } from "vitest";
import { compile } from "../index.ts";
import { binary, reduce, unary } from "./build.ts";
import { Graph } from "./graph.ts";
import { printGraph } from "./print-graph.ts";

afterEach(() => vi.unstubAllEnvs());

it("prints a line for each node that is used", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]);
  unary(g, "Exp", x); // unused
  const doubled = binary(g, "Mul", x, g.scalar("float32", 2));
  const sum = reduce(g, "ReduceSum", doubled, [1]);
  const lines = printGraph({ graph: g, outputs: [sum] }).split("\n");
  expect(lines).toEqual([
    `v${doubled.id}: float32[2,3] = Mul(x, 2)`,
    `v${sum.id}: float32[2] = ReduceSum(v${doubled.id}, 1)`,
  ]);
});

it("DMAE_PRINT_GRAPH prints the optimised graph of what is compiled", async () => {
  vi.stubEnv("DMAE_PRINT_GRAPH", "1");
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const program = await compile(({ x }) => tf.exp(tf.reshape(x!, [4])), { x: [2, 2] });
  program.dispose();
  const text = log.mock.calls.flat().join("\n");
  log.mockRestore();
  expect(text).toMatch(/^compile\n/);
  expect(text).toMatch(/float32\[2,2\] = Exp\(x\)/);
});
