import { expect, it } from "vitest";
import { binary, gemm, reduce, unary } from "../graph/build.ts";
import { Graph, type Value } from "../graph/graph.ts";
import { findRegions, isRegion } from "./regions.ts";

/** The steps of a program, regions as the list of their operators. */
const stepsOf = (graph: Graph, ...outputs: Value[]): (string | string[])[] =>
  findRegions({ graph, outputs }).map((step) =>
    isRegion(step) ? step.members.map(({ node }) => node.op) : step.op,
  );

const matrix = (g: Graph, name: string, rows = 4, columns = 8) =>
  g.input(name, "float32", [rows, columns]);

it("joins what is computed element by element, rows and columns broadcast", () => {
  const g = new Graph();
  const x = matrix(g, "x");
  const sum = binary(g, "Add", x, g.input("row", "float32", [8]));
  const scaled = binary(g, "Mul", sum, g.input("column", "float32", [4, 1]));
  expect(stepsOf(g, unary(g, "Exp", scaled))).toEqual([["Add", "Mul", "Exp"]]);
});

it("joins reductions of rows with their readers, sums of columns with their source only", () => {
  const g = new Graph();
  const x = unary(g, "Exp", matrix(g, "x"));
  const share = binary(g, "Div", x, reduce(g, "ReduceSum", x, [1], true));
  const columns = reduce(g, "ReduceSum", share, [0]);
  const output = binary(g, "Mul", share, columns);
  expect(stepsOf(g, output)).toEqual([["Exp", "ReduceSum", "Div", "ReduceSum"], "Mul"]);
});

it("keeps apart what a product lies between", () => {
  const g = new Graph();
  const x = unary(g, "Exp", matrix(g, "x", 8));
  const y = binary(g, "Add", x, gemm(g, x, x, false, false));
  expect(stepsOf(g, unary(g, "Neg", y))).toEqual(["Exp", "Gemm", ["Add", "Neg"]]);
});

it("keeps apart two regions of which each would wait for the other", () => {
  const g = new Graph();
  const [x, y] = [matrix(g, "x", 8), matrix(g, "y", 8)];
  const [a, b] = [unary(g, "Exp", x), unary(g, "Erf", y)];
  // a -> product -> c and b -> product -> d, while c reads b and d reads a.
  const c = binary(g, "Add", gemm(g, a, a, false, false), b);
  const d = binary(g, "Add", gemm(g, b, b, false, false), a);
  const steps = stepsOf(g, c, d);
  expect(steps.flat().sort()).toEqual(["Add", "Add", "Erf", "Exp", "Gemm", "Gemm"]);
  const at = (op: string) => steps.findIndex((step) => [step].flat().includes(op));
  expect(at("Gemm")).toBeGreaterThan(Math.min(at("Exp"), at("Erf")));
  // Joining Erf with one Add is possible, joining Exp with the other as well is not.
  expect(steps.filter(Array.isArray).length).toBe(1);
});

it("leaves integers, other shapes and single operators to ONNX Runtime", () => {
  const g = new Graph();
  const whole = g.input("n", "int32", [4, 8]);
  const middle = binary(
    g,
    "Add",
    g.input("x", "float32", [2, 3, 4]),
    g.input("y", "float32", [2, 1, 4]),
  );
  const steps = stepsOf(g, binary(g, "Mul", binary(g, "Add", whole, whole), whole), middle);
  expect(steps).toEqual(["Add", "Add", "Mul"].sort((a, b) => steps.indexOf(a) - steps.indexOf(b)));
});
