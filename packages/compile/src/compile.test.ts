import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import { valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { compile, compileStep } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const vector = (...values: number[]): HostTensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});

describe("compile", () => {
  it("runs a function of nested records", async () => {
    const program = await compile(
      ({ x, model }) => ({ out: { y: tf.add(tf.mul(model.w, x), model.b) }, w: model.w }),
      { x: { shape: [2] }, model: { w: { shape: [2] }, b: { shape: [] } } },
    );
    const b: HostTensor = { dtype: "float32", shape: [], data: Float32Array.of(1) };
    const result = await program({ x: vector(2, 3), model: { w: vector(4, 5), b } });
    expect(Array.from(result.out.y.data)).toEqual([9, 16]);
    expect(Array.from(result.w.data)).toEqual([4, 5]);
    expect(program.statistics.nodes).toBe(2);
    program.dispose();
  });

  it("runs program 5 of the README: specs are shapes, inputs plain arrays", async () => {
    const square = await compile(({ x }) => tf.square(x), { x: [2] });
    const y = await square({ x: [2, 3] });
    expect(y).toEqual(vector(4, 9));
    square.dispose();
  });

  it("takes a whole program, with constants, and numbers of other dtypes, nested or typed", async () => {
    const program = await compile({
      fn: ({ i, b, m, w }) => ({
        y: tf.add(tf.where(b, m, tf.mul(m, 10)), w!),
        i: tf.add(i, tf.scalar(1, "int32")),
      }),
      specs: { i: { shape: [], dtype: "int32" }, b: { shape: [2], dtype: "bool" }, m: [2, 2] },
      constants: { w: vector(100, 200) },
    });
    const m = [
      [1, 2],
      [3, 4],
    ];
    const { y, i } = await program({ i: 7, b: [true, false] as never, m });
    expect(Array.from(y.data)).toEqual([101, 220, 103, 240]);
    expect(i).toEqual({ dtype: "int32", shape: [], data: Int32Array.of(8) });
    const flat = await program({ i: 7, b: [1, 0], m: Float64Array.of(1, 2, 3, 4) });
    expect(flat.y).toEqual(y);
    const wrong: [object, string][] = [
      [{ i: 1.5, b: [1, 0], m }, "call: i must hold 32-bit integers, got 1.5 at element 0"],
      [{ i: 1, b: [2, 0], m }, "call: b must hold 0, 1, true or false, got 2 at element 0"],
      [{ i: 1, b: [1, 0], m: [1, 2, 3] }, "call: m must be float32 [2,2], 4 values, got 3"],
      [
        { i: 1, b: [1, 0], m: [[1], [2]] },
        "call: m must be nested as its shape [2,2], got 1 values",
      ],
      [{ i: 1, b: [1, 0], m: [1, 2, 3, "4"] }, 'call: m must hold numbers, got "4" at element 3'],
      [{ i: 1, b: [1, 0], m: [1, 2, 3, Number.NaN] }, "call: m holds NaN at element 3"],
    ];
    for (const [inputs, message] of wrong)
      await expect(program(inputs as never)).rejects.toThrow(message);
    program.dispose();
  });

  it("returns one tensor where the function does", async () => {
    const program = await compile(({ x }) => tf.square(x), { x: { shape: [2] } });
    expect(Array.from((await program({ x: vector(2, 3) })).data)).toEqual([4, 9]);
    program.dispose();
  });

  it("compiles gradients", async () => {
    const program = await compile(
      ({ w }) => valueAndGradients(({ w }) => ({ loss: tf.sum(tf.square(w!)) }), { w }).gradients,
      { w: { shape: [3] } },
    );
    const { w } = await program({ w: vector(1, -2, 3) });
    expect(Array.from(w!.data)).toEqual([2, -4, 6]);
    program.dispose();
  });

  it("takes closed-over tensors as constants and hands them back untouched", async () => {
    const factor = tf.tensor1d([10, 20]);
    const program = await compile(({ x }) => ({ y: tf.mul(x, factor) }), { x: { shape: [2] } });
    const { y } = await program({ x: vector(1, 2) });
    expect(Array.from(y.data)).toEqual([10, 40]);
    expect(tf.getBackend()).toBe("cpu");
    expect(Array.from(tf.add(factor, 1).dataSync())).toEqual([11, 21]);
    program.dispose();
  });

  it("returns outputs that are inputs, constants or twice the same", async () => {
    const program = await compile(
      ({ x }) => {
        const y = tf.exp(x);
        return { x, y, again: y, one: tf.ones([3]) };
      },
      { x: { shape: [1] } },
    );
    const result = await program({ x: vector(0) });
    expect(Array.from(result.x.data)).toEqual([0]);
    expect(Array.from(result.y.data)).toEqual([1]);
    expect(Array.from(result.again.data)).toEqual([1]);
    expect(Array.from(result.one.data)).toEqual([1, 1, 1]);
    program.dispose();
  });

  it("shares equal sub-expressions, folds constants and drops dead and neutral operations", async () => {
    const program = await compile(
      ({ x }) => {
        tf.sin(x); // dead
        const scale = tf.sqrt(tf.scalar(16)); // folded to 4
        const a = tf.exp(x);
        const b = tf.exp(x); // shared
        const same = tf.transpose(tf.transpose(tf.mul(tf.add(a, tf.zeros([2, 3])), 1)));
        return { y: tf.mul(tf.add(same, b), scale) };
      },
      { x: { shape: [2, 3] } },
    );
    expect(program.statistics.nodes).toBe(3); // Exp, Add, Mul
    const x = vector(0, 0, 0, 0, 0, 0);
    const { y } = await program({ x: { ...x, shape: [2, 3] } });
    expect(Array.from(y.data)).toEqual([8, 8, 8, 8, 8, 8]);
    program.dispose();
  });

  it("moves factors and biases into the matrix product", async () => {
    const program = await compile(
      ({ a, b, c }) => ({ y: tf.add(tf.matMul(tf.mul(a, 2), tf.transpose(b)), c) }),
      { a: { shape: [2, 3] }, b: { shape: [4, 3] }, c: { shape: [4] } },
    );
    expect(program.statistics.nodes).toBe(1); // one Gemm
    const a = { ...vector(1, 2, 3, 4, 5, 6), shape: [2, 3] };
    const b = { ...vector(1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1), shape: [4, 3] };
    const { y } = await program({ a, b, c: vector(1, 2, 3, 4) });
    expect(Array.from(y.data)).toEqual([3, 6, 9, 16, 9, 12, 15, 34]);
    program.dispose();
  });

  it("leaves no tensors behind, also when tracing fails", async () => {
    await expectNoLeak(async () => {
      const program = await compile(({ x }) => ({ y: tf.exp(x) }), { x: { shape: [2] } });
      await program({ x: vector(1, 2) });
      program.dispose();
      await failure(() =>
        compile(({ x }) => ({ y: tf.scalar(x.dataSync()[0]!) }), { x: { shape: [2] } }),
      );
    });
    expect(tf.getBackend()).toBe("cpu");
  });
});

describe("errors while tracing", () => {
  const here = /compile\.test\.ts:\d+:\d+/;

  it("names an operation without translation and the line", async () => {
    const error = await failure(() =>
      compile(({ x }) => ({ y: tf.real(tf.spectral.fft(tf.complex(x, x))) }), {
        x: { shape: [2] },
      }),
    );
    expect(error.code).toBe("unsupported");
    expect(error.message).toMatch(/^compile: complex/);
    expect(error.message).toMatch(here);
  });

  it("names a host read and the line", async () => {
    const error = await failure(() =>
      compile(({ x }) => ({ y: tf.mul(x, x.dataSync()[0]!) }), { x: { shape: [2] } }),
    );
    expect(error.code).toBe("unsupported");
    expect(error.message).toMatch(/^compile: dataSync reads a value on the host/);
    expect(error.message).toMatch(here);
  });

  it("names an unseeded random operation and the line", async () => {
    for (const draw of [() => tf.randomNormal([2]), () => tf.dropout(tf.ones([2]), 0.5)]) {
      const error = await failure(() =>
        compile(({ x }) => ({ y: tf.add(x, draw()) }), { x: { shape: [2] } }),
      );
      expect(error.code).toBe("unsupported");
      expect(error.message).toMatch(
        /^compile: (randomNormal|dropout) draws unseeded random numbers/,
      );
      expect(error.message).toMatch(here);
    }
    expect(Math.random()).toBeGreaterThanOrEqual(0); // restored
  });

  it("keeps the user's own errors", async () => {
    const own = new RangeError("mine");
    const run = () =>
      compile(
        () => {
          throw own;
        },
        { x: { shape: [2] } },
      );
    await expect(run()).rejects.toBe(own);
    expect(tf.getBackend()).toBe("cpu");
  });

  it("refuses promises, no outputs, strings, and compiling inside", async () => {
    const x = { shape: [2] };
    const promised = await failure(() => compile((async () => ({})) as never, { x }));
    expect(promised.message).toContain("must be synchronous");
    expect((await failure(() => compile(() => ({}), { x }))).message).toContain(
      "record of tensors",
    );
    const string = await failure(() =>
      compile(({ x }) => ({ y: tf.add(x, tf.tensor1d(["a"])) }), { x }),
    );
    expect(string.message).toContain("string");
    const wrong = await failure(() => compile(({ x }) => ({ x }), { x: { shape: [2.5] } }));
    expect(wrong.code).toBe("shape");
  });
});

describe("errors while running", () => {
  const make = () => compile(({ x }) => ({ y: tf.exp(x) }), { x: { shape: [2] } });

  it("checks shape, dtype, length, names and NaN, and stays usable", async () => {
    const program = await make();
    const call = (inputs: object) => failure(() => program(inputs as never));
    expect((await call({ x: vector(1, 2, 3) })).message).toBe(
      "call: x must be float32 [2], got float32 [3]",
    );
    const ints: HostTensor = { dtype: "int32", shape: [2], data: Int32Array.of(1, 2) };
    expect((await call({ x: ints })).code).toBe("shape");
    expect((await call({ x: { ...vector(1), shape: [2] } })).message).toContain(
      "Float32Array of 2 values",
    );
    expect((await call({ z: vector(1, 2) })).message).toContain("missing: x, unknown: z");
    const nan = await call({ x: vector(1, Number.NaN) });
    expect([nan.code, nan.message]).toEqual(["numeric", "call: x holds NaN at element 1"]);
    expect(Array.from((await program({ x: vector(0, 0) })).y.data)).toEqual([1, 1]);
    program.dispose();
    expect((await call({ x: vector(0, 0) })).message).toContain("disposed");
    program.dispose(); // twice is harmless
  });

  it("says what to install where ONNX Runtime is missing, and which provider is missing", async () => {
    const error = await failure(() =>
      compile(({ x }) => ({ y: tf.exp(x) }), { x: { shape: [2] } }, { provider: "coreml" }),
    );
    expect(error.code).toBe("unsupported");
    expect(error.message).toContain("provider coreml");
  });
});

describe("compileStep", () => {
  const init = { state: { w: vector(1, 2) }, batch: { x: { shape: [2] } } };

  it("keeps the state inside and returns metrics", async () => {
    const step = await compileStep(
      ({ w }, { x }) => ({ state: { w: tf.add(w!, x!) }, metrics: { sum: tf.sum(x!) } }),
      init,
    );
    expect(await step({ x: vector(1, 1) })).toEqual({ sum: 2 });
    const results = await Promise.all([step({ x: vector(2, 0) }), step({ x: vector(0, 3) })]);
    expect(results).toEqual([{ sum: 2 }, { sum: 3 }]);
    const state = await step.state();
    expect(Array.from(state.w!.data)).toEqual([4, 6]);
    state.w!.data.fill(0); // a copy
    expect(Array.from((await step.state()).w!.data)).toEqual([4, 6]);
    expect(Array.from(init.state.w.data)).toEqual([1, 2]); // the caller's is untouched
    step.dispose();
    expect((await failure(() => step({ x: vector(1, 1) }))).message).toContain("disposed");
  });

  it("passes unchanged state on", async () => {
    const step = await compileStep(
      ({ w, fixed }, { x }) => ({ state: { w: tf.add(w!, x!), fixed: fixed! }, metrics: {} }),
      { state: { w: vector(0, 0), fixed: vector(7, 8) }, batch: { x: { shape: [2] } } },
    );
    for (let i = 0; i < 3; i++) await step({ x: vector(1, 2) });
    const state = await step.state();
    expect([Array.from(state.w!.data), Array.from(state.fixed!.data)]).toEqual([
      [3, 6],
      [7, 8],
    ]);
    step.dispose();
  });

  it("refuses a step that changes the form of its state", async () => {
    const error = await failure(() =>
      compileStep(({ w }) => ({ state: { w: tf.concat([w!, w!]) }, metrics: {} }), init),
    );
    expect(error.message).toContain("w was float32 [2], became float32 [4]");
  });
});
