import { describe, expect, it } from "vitest";
import { binary, gemm, unary } from "./build.ts";
import { Graph } from "./graph.ts";
import { inPlaceInputs } from "./in-place.ts";

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
