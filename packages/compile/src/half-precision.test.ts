import "@tensorflow/tfjs-backend-cpu";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { attention, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { fromHalf, type HalfType, toHalf } from "./graph/half-numbers.ts";
import { compile, compileStep, exportOnnx } from "./index.ts";
import { findCCompiler } from "./kernels/c-compiler.ts";
import { bfloat16Report } from "./kernels/generate.ts";
import { draws } from "./testing/sweep.ts";

const compiler = await findCCompiler();
const kernels = compiler ? (["standard", "generated"] as const) : (["standard"] as const);
const types: readonly HalfType[] = ["bfloat16", "float16"];
const random = draws(11, "half");
/** Relative distance of a number from its neighbours. */
const unit = { bfloat16: 2 ** -8, float16: 2 ** -11 };

beforeAll(() => tf.setBackend("cpu"));

const rounded = (type: HalfType, values: ArrayLike<number>) => fromHalf(type, toHalf(type, values));

/** a[rows, depth] b[depth, columns] + c in float64, of rounded factors, rounded once more. */
function reference(type: HalfType, a: Float32Array, b: Float32Array, c: Float32Array) {
  const [x, w, bias] = [rounded(type, a), rounded(type, b), rounded(type, c)];
  const columns = bias.length;
  const depth = w.length / columns;
  return Array.from({ length: (x.length / depth) * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = bias[column]!;
    for (let k = 0; k < depth; k++) sum += x[row * depth + k]! * w[k * columns + column]!;
    return sum;
  });
}

const cases = types.flatMap((type) => kernels.map((each) => [type, each] as const));

describe.each(cases)("%s, kernels: %s", (precision, each) => {
  it("rounds what products read and give, and sums in float32", async () => {
    const [a, b, c] = [random.floats([9, 40]), random.floats([40, 24]), random.floats([24])];
    const fn = ({ a, b, c }: Tensors) => tf.add(tf.matMul(a!, b!), c!);
    const specs = { a: [9, 40], b: [40, 24], c: [24] };
    const program = await compile(fn, specs, {
      precision,
      kernels: each === "generated" ? "auto" : each,
    });
    const { data } = await program({ a, b, c });
    program.dispose();
    const exact = reference(
      precision,
      ...([a, b, c].map(({ data }) => data) as [Float32Array, Float32Array, Float32Array]),
    );
    data.forEach((y, i) => {
      expect(fromHalf(precision, toHalf(precision, [y]))[0]).toBe(y); // a 16-bit number
      expect(Math.abs(y - exact[i]!)).toBeLessThanOrEqual(
        unit[precision] * Math.abs(exact[i]!) + 1e-5,
      );
    });
  });

  it("trains: a step's gradients and its state differ from float32 by roundings alone", async () => {
    const [batch, tokens, width] = [2, 5, 16];
    const random = draws(12, "step");
    const step = (p: Tensors, { x }: Tensors) => {
      const { loss, gradients } = valueAndGradients((w) => {
        const h = layerNorm(x!, w.gain!, w.bias!, 1e-6);
        const qkv = linear(h, w.qkv!, w.qkvBias!);
        const y = linear(attention(qkv, 2), w.out!, w.outBias!);
        return { loss: tf.mean(tf.square(tf.add(y, x!))) };
      }, p);
      const state = Object.fromEntries(
        Object.entries(p).map(([name, v]) => [name, tf.sub(v, tf.mul(gradients[name]!, 0.1))]),
      );
      return { state, metrics: { loss } };
    };
    const state = {
      gain: random.floats([width], 0.5, 1.5),
      bias: random.floats([width]),
      qkv: random.floats([3 * width, width], -0.25, 0.25),
      qkvBias: random.floats([3 * width]),
      out: random.floats([width, width], -0.25, 0.25),
      outBias: random.floats([width]),
    };
    const x = random.floats([batch, tokens, width]);
    const run = async (how: "float32" | HalfType) => {
      const init = { state, batch: { x: [batch, tokens, width] } };
      const prepared = await compileStep(step, init, { precision: how, kernels: each });
      let metrics: Record<string, number> = await prepared({ x });
      for (let i = 0; metrics.skipped && i < 20; i++) metrics = await prepared({ x }); // until the scale fits
      const { loss } = metrics;
      const after = await prepared.state();
      prepared.dispose();
      return { loss: loss!, after };
    };
    const [plain, half] = [await run("float32"), await run(precision)];
    expect(half.loss).not.toBe(plain.loss);
    expect(Math.abs(half.loss - plain.loss)).toBeLessThan(8 * unit[precision] * plain.loss);
    const updates = (after: typeof plain.after) =>
      (Object.keys(state) as (keyof typeof state)[]).flatMap((name) =>
        Array.from(after[name].data, (v, i) => v - state[name].data[i]!),
      );
    const [exact, found] = [updates(plain.after), updates(half.after)];
    const distance = Math.hypot(...exact.map((v, i) => v - found[i]!));
    expect(distance / Math.hypot(...exact)).toBeLessThan(12 * unit[precision]);
  });
});

describe.skipIf(!compiler)("generated products of bfloat16 numbers", () => {
  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])("transposed %s, %s: as ONNX Runtime's, and as emulated in float64", async (transA, transB) => {
    const [rows, depth, columns] = [131, 805, 67]; // no whole tiles, an odd depth in two blocks
    const specs = {
      a: transA ? [depth, rows] : [rows, depth],
      b: transB ? [columns, depth] : [depth, columns],
    };
    const values = { a: random.floats(specs.a), b: random.floats(specs.b) };
    values.a.data[0] = Number.POSITIVE_INFINITY; // makes the first row of the result infinite
    const fn = ({ a, b }: Tensors) => tf.matMul(a!, b!, transA, transB);
    const results = [];
    for (const each of ["standard", "generated"] as const) {
      const program = await compile(fn, specs, {
        precision: "bfloat16",
        kernels: each,
        threads: 2,
      });
      if (each === "generated") expect(program.statistics.kernels).toBeGreaterThan(0);
      results.push((await program(values)).data);
      program.dispose();
    }
    const [wanted, found] = results as [Float32Array, Float32Array];
    for (let i = 0; i < wanted.length; i++)
      if (i < columns) expect([i, found[i]]).toEqual([i, wanted[i]]);
      else if (
        !(Math.abs(found[i]! - wanted[i]!) <= 2 * unit.bfloat16 * Math.abs(wanted[i]!) + 1e-4)
      )
        expect.fail(`${i}: ${found[i]} for ${wanted[i]}`);
    const a = rounded("bfloat16", values.a.data as Float32Array);
    const b = rounded("bfloat16", values.b.data as Float32Array);
    for (let row = 1; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        let [sum, size] = [0, 0];
        for (let k = 0; k < depth; k++) {
          const product =
            a[transA ? k * rows + row : row * depth + k]! *
            b[transB ? column * depth + k : k * columns + column]!;
          sum += product;
          size += Math.abs(product);
        }
        // the result is rounded to nearest; before that, sums in float32 err by a unit per addend at most
        const bound = unit.bfloat16 * Math.abs(sum) + depth * 2 ** -23 * size;
        const value = found[row * columns + column]!;
        if (!(Math.abs(value - sum) <= bound))
          expect.fail(`${row}, ${column}: ${value} for ${sum}`);
      }
  });
});

it("says what multiplies bfloat16 numbers, where that is not the best of the processor", () => {
  const flags = (text: string) => `processor : 0\nflags : fpu ${text}\n`;
  expect(bfloat16Report(flags("avx512f"))).toContain("run in float32: this processor has no");
  expect(bfloat16Report(flags("avx512f avx512_bf16"))).toBeNull();
  expect(bfloat16Report(flags("avx512_bf16 amx_bf16 amx_tile"))).toBe(
    "products of bfloat16 numbers use AVX512-BF16; the AMX unit of this processor is not used",
  );
});

describe("what a device runs", () => {
  const fn = ({ x, w, b, qkv }: Tensors) =>
    tf.add(tf.sum(attention(tf.reshape(linear(x!, qkv!), [2, 3, 24]), 2)), linear(x!, w!, b!));
  const specs = { x: [6, 8], w: [4, 8], b: [4], qkv: [24, 8] };

  it("is a file whose products are in 16 bits", async () => {
    const inputs = {
      x: random.floats([6, 8]),
      w: random.floats([4, 8]),
      b: random.floats([4]),
      qkv: random.floats([24, 8]),
    };
    const bytes = exportOnnx({ fn, specs }, { precision: "float16" });
    // ONNX Runtime's CPU runs float16 products in float32, between casts of its own.
    const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { data, shape }]) => [
        name,
        new ort.Tensor("float32", data as Float32Array, shape),
      ]),
    );
    const { output } = (await session.run(feeds)) as Record<string, ort.Tensor>;
    const eager = fn(
      Object.fromEntries(
        Object.entries(inputs).map(([name, { data, shape }]) => [
          name,
          tf.tensor(data as Float32Array, [...shape]),
        ]),
      ),
    );
    expectClose(output!.data as Float32Array, eager.dataSync(), { absolute: 0.02, relative: 0.01 });
  });

  it.each(types)("%s: has operators that ONNX has of that type", async (precision) => {
    const whole = ({ x, w, b, qkv, image, filter }: Tensors) => ({
      y: fn({ x: x!, w: w!, b: b!, qkv: qkv! }),
      z: tf.conv2d(image as tf.Tensor4D, filter as tf.Tensor4D, 1, "same"),
    });
    const program = {
      fn: whole,
      specs: { ...specs, image: [1, 8, 8, 3], filter: [3, 3, 3, 4] },
    };
    const made = ort.InferenceSession.create(exportOnnx(program, { precision }), {
      logSeverityLevel: 4,
    });
    if (precision === "float16") return void (await (await made).release());
    // The graph is valid; it is the CPU that lacks the operators.
    await expect(made).rejects.toThrow(/NOT_IMPLEMENTED|Could not find an implementation/);
  });

  it("halves the constants of a file", () => {
    const weight = random.floats([128, 128]);
    const program = { fn: ({ x, weight }: Tensors) => linear(x!, weight!), specs: { x: [2, 128] } };
    const size = (precision: "float32" | HalfType) =>
      exportOnnx({ ...program, constants: { weight } }, { precision }).length;
    for (const type of types) expect(size(type)).toBeLessThan(0.55 * size("float32"));
  });
});

describe("loss scaling of float16", () => {
  /** The loss is sum(w x) through a product; its gradient by w is x. */
  const step = ({ w }: Tensors, { x }: Tensors) => {
    const { loss, gradients } = valueAndGradients((p) => ({ loss: tf.sum(tf.matMul(x!, p.w!)) }), {
      w: w!,
    });
    return { state: { w: tf.sub(w!, gradients.w!) }, metrics: { loss } };
  };
  const w = { dtype: "float32", shape: [4, 2], data: new Float32Array(8) } as const;
  const start = () =>
    compileStep(step, { state: { w }, batch: { x: [4, 4] } }, { precision: "float16" });

  it("keeps gradients that float16 could not hold", async () => {
    const faint = (state: Tensors, batch: Tensors) => {
      const { loss, gradients } = valueAndGradients(
        (p) => ({ loss: tf.mul(tf.sum(tf.matMul(batch.x!, p.w!)), 2 ** -26) }),
        state,
      );
      return { state: { w: tf.sub(state.w!, gradients.w!) }, metrics: { loss } };
    };
    const prepared = await compileStep(
      faint,
      { state: { w }, batch: { x: [4, 4] } },
      { precision: "float16" },
    );
    await prepared({ x: new Float32Array(16).fill(0.5) });
    // the product that gives the gradient reads 2^-26, which would round to 0
    expect([...(await prepared.state()).w.data]).toEqual(Array(8).fill(-(2 ** -25)));
    prepared.dispose();
  });

  it("goes on from the scale of a step before, and refuses another one", async () => {
    const large = new Float32Array(16).fill(2);
    const small = new Float32Array(16).fill(0.125);
    const whole = await start();
    for (const x of [large, large, small, small]) await whole({ x });
    expect(await whole.scaling!()).toEqual([16384, 2]);
    const state = await whole.state();
    const begin = (scaling: readonly number[]) =>
      compileStep(step, { state, batch: { x: [4, 4] }, scaling }, { precision: "float16" });
    const resumed = await begin(await whole.scaling!());
    for (const each of [whole, resumed])
      expect(await each({ x: small })).toMatchObject({ lossScale: 16384, skipped: 0 });
    expect(await resumed.scaling!()).toEqual(await whole.scaling!());
    expect(await resumed.state()).toEqual(await whole.state());
    whole.dispose();
    resumed.dispose();
    for (const wrong of [[3, 0], [2], [0.5, 0], [2 ** 30, 0], [2, -1], [], "2"])
      await expect(begin(wrong as number[])).rejects.toThrow(
        "compileStep: scaling must be what scaling() of a step gave",
      );
    const plain = await compileStep(step, { state: { w }, batch: { x: [4, 4] } });
    expect(plain.scaling).toBeUndefined();
    plain.dispose();
  });

  it("ends a run that overflows at every scale, and keeps the state", async () => {
    const scaling = [2, 0];
    const prepared = await compileStep(
      step,
      { state: { w }, batch: { x: [4, 4] }, scaling },
      { precision: "float16" },
    );
    const huge = new Float32Array(16).fill(40_000); // its sum leaves the range without any scale
    expect(await prepared({ x: huge })).toMatchObject({ lossScale: 2, skipped: 1 });
    await expect(prepared({ x: huge })).rejects.toThrow(
      "call: gradients must fit into float16, got overflow at loss scale 1; lower the learning rate, or use precision bfloat16",
    );
    expect(await prepared.state()).toEqual({ w });
    prepared.dispose();
  });

  it("skips a step that overflows, says so, and goes on with half the scale", async () => {
    const prepared = await start();
    const large = new Float32Array(16).fill(2); // 4 x 2 x 65536 leaves the range
    const small = new Float32Array(16).fill(0.125);
    const first = (await prepared({ x: large })) as Record<string, number>;
    expect(first).toMatchObject({ loss: 0, lossScale: 65536, skipped: 1 });
    expect([...(await prepared.state()).w.data]).toEqual(Array(8).fill(0));
    const second = (await prepared({ x: small })) as Record<string, number>;
    expect(second).toMatchObject({ lossScale: 32768, skipped: 0 });
    const state = await prepared.state();
    expect(Object.keys(state)).toEqual(["w"]);
    expect([...state.w.data]).toEqual(Array(8).fill(-0.5)); // 4 rows of 0.125
    prepared.dispose();
  });
});

it("refuses what does not exist", async () => {
  const make = (options: object) => compile(({ x }) => tf.matMul(x!, x!), { x: [8, 8] }, options);
  await expect(make({ precision: "float8" })).rejects.toThrow(
    'compile: precision must be "float32", "bfloat16", "float16" or "int8", got "float8"',
  );
  await expect(make({ precision: "bfloat16", provider: "webgpu" })).rejects.toThrow(
    "compile: provider webgpu has no bfloat16; use precision float16",
  );
});
