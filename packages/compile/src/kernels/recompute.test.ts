import { expect, it } from "vitest";
import { binary, gemm, KERNELS, reduce, unary } from "../graph/build.ts";
import { Graph, liveNodes, type Value } from "../graph/graph.ts";
import { type Emitter, forCard, forCpu, fuse } from "./fuse.ts";

const shape = [64, 64];

/** A region in front of a product and one behind it, which reads `crossing` too; what each kernel reads and writes. */
function around(make: (g: Graph, x: Value, y: Value) => Value, emitter = forCard) {
  const g = new Graph();
  const [x, y, w] = ["x", "y", "w"].map((name) => g.input(name, "float32", shape));
  const crossing = make(g, x!, y!);
  const product = gemm(g, binary(g, "Mul", crossing, crossing), w!, false, false);
  const outputs = [unary(g, "Exp", binary(g, "Mul", product, crossing))];
  const { program } = fuse({ graph: g, outputs }, emitter);
  const kernels = liveNodes(program.graph, program.outputs).filter((n) => n.domain === KERNELS);
  const nameOf = (value: Value | null) => value!.name ?? value!.node!.op;
  return kernels.map(({ inputs, outputs: results }) => ({
    reads: inputs.map(nameOf),
    writes: results.map((value) => value.shape.join("x")),
  }));
}

it("computes again what takes no more memory than it is made of", () => {
  expect(around((g, x) => unary(g, "Exp", unary(g, "Neg", x)))).toEqual([
    { reads: ["x"], writes: ["64x64"] },
    { reads: ["Gemm", "x"], writes: ["64x64"] },
  ]);
});

it("stores numbers for each row that it takes", () => {
  const centred = (g: Graph, x: Value) =>
    binary(g, "Sub", x, reduce(g, "ReduceMean", x, [1], true));
  const [first, second] = around(centred);
  expect(first).toEqual({ reads: ["x"], writes: ["64x1", "64x64"] });
  expect(second).toEqual({ reads: ["Gemm", "x", "Fused0"], writes: ["64x64"] });
});

it("stores what is made of more, of a softmax, and what C kernels read", () => {
  const sum = (g: Graph, x: Value, y: Value) => binary(g, "Add", unary(g, "Exp", x), y);
  const softmax = (g: Graph, x: Value) => g.add("Softmax", [x], { axis: 1 });
  const exponential = (g: Graph, x: Value) => unary(g, "Exp", x);
  const stored = [{ writes: ["64x64", "64x64"] }, { reads: ["Gemm", "Fused0"] }];
  expect(around(sum)).toMatchObject(stored);
  expect(around(softmax)).toMatchObject(stored);
  expect(around(exponential, forCpu(1))).toMatchObject(stored);
});

it("stores everything where a region cannot be one kernel", () => {
  const g = new Graph();
  const [x, w] = ["x", "w"].map((name) => g.input(name, "float32", shape));
  const crossing = unary(g, "Exp", x!);
  const product = gemm(g, binary(g, "Mul", crossing, x!), w!, false, false);
  // Behind the product, more operands than a kernel takes.
  const many = Array.from({ length: 70 }, (_, i) => g.input(`y${i}`, "float32", shape));
  const last = many.reduce(
    (sum, y) => binary(g, "Add", sum, y),
    binary(g, "Mul", product, crossing),
  );
  const { program, count } = fuse({ graph: g, outputs: [last] }, forCard);
  expect(count).toBe(1);
  const kernel = liveNodes(program.graph, program.outputs).find((n) => n.domain === KERNELS)!;
  expect(kernel.outputs).toHaveLength(2);
});

it("sums columns in a region that reads the matrix anyway", () => {
  const g = new Graph();
  const x = g.input("x", "float32", shape);
  const outputs = [reduce(g, "ReduceSum", x, [0]), unary(g, "Exp", unary(g, "Neg", x))];
  const kernels = (emitter: Emitter) => fuse({ graph: g, outputs }, emitter).count;
  expect(kernels(forCard)).toBe(1);
  const { program } = fuse({ graph: g, outputs }, forCpu(1));
  expect(liveNodes(program.graph, program.outputs).map(({ op }) => op)).toContain("ReduceSum");
});
