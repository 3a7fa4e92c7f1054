import { expect, it } from "vitest";
import { binary, KERNELS, reduce, unary } from "../graph/build.ts";
import { Graph, liveNodes } from "../graph/graph.ts";
import { forCpu, fuse } from "./fuse.ts";

it("lets an output take the buffer of an input that is not read after it was written", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [4, 8]);
  const other = g.input("other", "float32", [4, 8]);
  // exp x is known in the first walk over a row; the difference needs its sum, and reads x again.
  const exp = unary(g, "Exp", x);
  const difference = binary(g, "Sub", x, reduce(g, "ReduceSum", exp, [1], true));
  const mixed = binary(g, "Mul", exp, other);
  const { program, library, count } = fuse(
    { graph: g, outputs: [exp, difference, mixed] },
    forCpu(1),
  );
  const [node] = liveNodes(program.graph, program.outputs);
  expect([count, node!.domain]).toEqual([1, KERNELS]);
  const [input, second] = program.graph.inputs;
  const [first, last, product] = program.outputs;
  expect(library.overwrites(node!, input!, first!)).toBe(false);
  expect(library.overwrites(node!, input!, last!)).toBe(true);
  expect(library.overwrites(node!, input!, product!)).toBe(false);
  expect(library.overwrites(node!, second!, first!)).toBe(true);
  expect(library.overwrites(node!, second!, product!)).toBe(true);
});

it("writes equal kernels once, and leaves to ONNX Runtime what no kernel computes", () => {
  const g = new Graph();
  const layer = (name: string) => {
    const x = g.input(name, "float32", [4, 8]);
    return binary(g, "Mul", unary(g, "Exp", x), x);
  };
  const outputs = [layer("a"), layer("b"), unary(g, "Sin", g.input("c", "float32", [3]))];
  const { program, library, count, written } = fuse({ graph: g, outputs }, forCpu(1));
  const ops = liveNodes(program.graph, program.outputs).map(({ op }) => op);
  expect(ops.sort()).toEqual(["Fused0", "Fused0", "Sin"]);
  expect([count, written]).toEqual([2, 64]);
  expect(library.source().match(/^static void Fused/gm)).toHaveLength(1);
});
