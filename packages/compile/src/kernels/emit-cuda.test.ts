import "@tensorflow/tfjs-backend-cpu";
import { eagerExecutor, type Tensors } from "@dmae/nn";
import { gelu, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { binary, cast, KERNELS, reduce, unary } from "../graph/build.ts";
import { Graph, liveNodes } from "../graph/graph.ts";
import { fromHalf, toHalf } from "../graph/half-numbers.ts";
import { expectEagerOnShim, fusedForCard, runOnShim } from "../testing/on-shim.ts";
import { draws } from "../testing/sweep.ts";
import { findCCompiler } from "./c-compiler.ts";
import { forCard, fuse } from "./fuse.ts";

const compiler = await findCCompiler();
const folder = temporaryFolders("emit-cuda")();
const random = draws(12, "cuda");

beforeAll(() => tf.setBackend("cpu"));

describe.skipIf(!compiler)("CUDA kernels on the shim", () => {
  it.each([
    [5, 7],
    [1, 33],
    [64, 1],
    [70, 768],
  ] as const)("compute chains, rows and columns of a matrix of %i x %i", async (rows, columns) => {
    const inputs = {
      x: random.floats([rows, columns]),
      y: random.floats([rows, columns], 0.5, 2),
      row: random.floats([columns]),
      column: random.floats([rows, 1]),
      scalar: random.floats([]),
    };
    const fn = ({ x, y, row, column, scalar }: Tensors) => {
      const a = tf.erf(tf.mul(tf.add(x!, row!), scalar!));
      const b = tf.div(tf.exp(tf.sub(x!, column!)), y!);
      const c = tf.maximum(tf.minimum(a, b), tf.neg(tf.abs(x!)));
      const d = tf.sub(tf.sigmoid(c), tf.relu(tf.sub(y!, 1)));
      const e = tf.mul(tf.sqrt(y!), tf.reciprocal(y!));
      return { a, c, e: tf.add(d, e), s: tf.softmax(c), sums: tf.sum(tf.mul(c, e), 0) };
    };
    expect(await expectEagerOnShim(fn, inputs, { folder })).toBeGreaterThan(0);
  });

  it("sum columns of many rows in two passes, several of them at once", async () => {
    const inputs = { x: random.floats([5000, 12]), y: random.floats([5000, 12]) };
    const fn = ({ x, y }: Tensors) => {
      const centred = tf.sub(x!, tf.mean(x!, 1, true));
      return {
        centred,
        products: tf.sum(tf.mul(centred, y!), 0),
        squares: tf.sum(tf.square(centred), 0),
      };
    };
    await expectEagerOnShim(fn, inputs, { folder, tolerance: 1e-4 });
  });

  it("have no matrix without rows", async () => {
    const inputs = { x: random.floats([0, 8]) };
    const fn = ({ x }: Tensors) => ({ y: tf.exp(tf.neg(x!)), sums: tf.sum(tf.exp(x!), 0) });
    expect(await expectEagerOnShim(fn, inputs, { folder })).toBe(0);
  });

  // Sums that round up, down and to even, beyond the largest number, below the normal and the smallest ones.
  const special = [
    1, 1.001953125, 1.0029296875, 65504, 65519, 65520, 3e38, 6e-5, 6e-8, 2e-8, 0, -0,
  ];
  it.each(["bfloat16", "float16"] as const)("read and write %s", async (type) => {
    const shape = [3, 20];
    const x = random.floats(shape, -3, 3);
    const y = random.floats(shape, -1, 1);
    special.forEach((value, i) => {
      x.data[i] = i % 2 === 0 ? value : -value;
      y.data[i] = value / 512;
    });
    const g = new Graph();
    const [a, b] = [g.input("x", "float32", shape), g.input("y", "float32", shape)];
    const wide = cast(g, cast(g, a, type), "float32");
    const sum = binary(g, "Add", wide, b);
    const exponential = unary(g, "Exp", unary(g, "Neg", unary(g, "Abs", sum)));
    const outputs = [
      cast(g, cast(g, sum, type), "float32"),
      reduce(g, "ReduceMean", exponential, [1], true),
      reduce(g, "ReduceSum", exponential, [0]),
    ];
    const fused = fuse({ graph: g, outputs }, forCard);
    const kernel = liveNodes(fused.program.graph, fused.program.outputs).find(({ op }) =>
      op.startsWith("Fused"),
    )!;
    expect(kernel.inputs.map((v) => v!.dtype)).toEqual([type, "float32"]);
    expect(kernel.outputs[0]!.dtype).toBe(type);
    const found = await runOnShim(fused, ["narrow", "means", "sums"], { x, y }, folder);
    const rounded = (values: Float32Array) => fromHalf(type, toHalf(type, values));
    const from = rounded(x.data as Float32Array);
    const sums = from.map((v, i) => v + y.data[i]!);
    expect(found.narrow).toEqual(Float32Array.from(rounded(sums)));
    const values = [...sums].map((v) => Math.exp(-Math.abs(v)));
    const mean = (r: number) => values.slice(20 * r, 20 * r + 20).reduce((n, v) => n + v) / 20;
    const column = (c: number) => values[c]! + values[20 + c]! + values[40 + c]!;
    expectClose(found.means!, [0, 1, 2].map(mean), { relative: 1e-6 });
    expectClose(
      found.sums!,
      Array.from({ length: 20 }, (_, c) => column(c)),
      { relative: 1e-6 },
    );
  });

  it.each(["float32", "float16"] as const)(
    "take the sum of a large product in %s, unless its result is moved first",
    async (precision) => {
      const [rows, depth, width] = [1024, 32, 128];
      const inputs = {
        x: random.floats([rows, depth], -1, 1),
        w: random.floats([width, depth], -0.3, 0.3),
        b: random.floats([width]),
      };
      const fn = ({ x, w, b }: Tensors) => {
        const y = linear(x!, w as tf.Tensor2D, b as tf.Tensor1D);
        const moved = linear(tf.neg(x!), w as tf.Tensor2D, b as tf.Tensor1D);
        return {
          y: tf.matMul(gelu(y), w!),
          moved: tf.transpose(tf.reshape(moved, [8, rows / 8, 4, width / 4]), [0, 2, 1, 3]),
        };
      };
      const fused = fusedForCard(fn, inputs, precision);
      const nodes = liveNodes(fused.program.graph, fused.program.outputs);
      const gemms = nodes.filter(({ op }) => op === "Gemm");
      const reader = gemms.find(({ inputs: [x] }) => x!.node?.domain === KERNELS);
      expect(reader!.inputs[0]!.dtype).toBe(precision); // by the kernel of the GELU, without a cast
      const sums = gemms.map((node) => node.inputs.length).sort();
      expect(sums).toEqual([2, 2, 3]);
      const found = await runOnShim(fused, fused.outputNames, inputs, folder);
      const eager = await eagerExecutor().prepareFunction({ fn, specs: inputs });
      for (const [name, { data }] of Object.entries(await eager(inputs)))
        expectClose(found[name]!, data, {
          absolute: precision === "float32" ? 1e-5 : 1e-2,
        });
    },
  );
});
