import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { compile, compiledExecutor, exportOnnx, quantize } from "../index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const x = { shape: [2] };

describe("specs", () => {
  it("that are none are named for what they are", async () => {
    const message = async (specs: unknown) =>
      (await failure(() => compile(() => tf.scalar(1), specs as never))).message;
    const expected = "must be a shape, a spec {shape, dtype} or a record of specs, got";
    expect(await message(undefined)).toBe(
      "compile: specs must be a record of specs {shape, dtype}, got undefined",
    );
    expect(await message({ x: 3 })).toBe(`compile: x ${expected} 3`);
    expect(await message({ m: { x: null } })).toBe(`compile: m/x ${expected} null`);
    const flat = await failure(() =>
      compiledExecutor().prepareFunction({
        fn: ({ x }) => ({ x: x! }),
        specs: { x: "2" as never },
      }),
    );
    expect(flat.message).toBe(`prepareFunction: x ${expected} "2"`);
  });

  it("whose joined names are the same are refused", async () => {
    const error = await failure(() =>
      compile(({ a }) => tf.exp(a.b), { a: { b: x }, "a/b": { shape: [3] } }),
    );
    expect(error.message).toContain("compile: a/b is the name of two tensors");
  });
});

describe("results", () => {
  const message = async (result: unknown) =>
    (await failure(() => compile(() => result as tf.Tensor, { x }))).message;

  it("that are no tensors are named for what they are", async () => {
    const expected = "must be a tensor or a record of tensors, got";
    expect(await message(undefined)).toBe(
      `compile: what the function returns ${expected} undefined`,
    );
    expect(await message(null)).toBe(`compile: what the function returns ${expected} null`);
    expect(await message({ y: null })).toBe(`compile: y ${expected} null`);
    expect(await message({ y: "text" })).toBe(`compile: y ${expected} "text"`);
    expect(await message({ y: { z: 3 } })).toBe(`compile: y/z ${expected} 3`);
    expect(await message({ y: Promise.resolve() })).toBe(`compile: y ${expected} a promise`);
    expect(await message([tf.scalar(1)])).toBe(
      "compile: the function must return a tensor or a record of tensors, got an array; give its tensors names: {first, second}",
    );
  });

  it("whose joined names are the same are refused", async () => {
    const run = () =>
      exportOnnx({
        fn: ({ x }) => ({ a: { b: tf.exp(x) }, "a/b": tf.neg(x) }),
        specs: { x: { shape: [2] } },
      });
    expect((await failure(run)).message).toContain("exportOnnx: a/b is the name of two tensors");
  });

  it("must be alive", async () => {
    const kill = (y: tf.Tensor) => {
      y.dispose();
      return y;
    };
    for (const [name, fn] of [
      ["y", ({ x }: { x: tf.Tensor }) => ({ y: kill(tf.exp(x)) })],
      ["output", ({ x }: { x: tf.Tensor }) => kill(tf.exp(x))],
    ] as const)
      expect((await failure(() => compile(fn as () => tf.Tensor, { x }))).message).toContain(
        `compile: ${name} was disposed of before the function returned it`,
      );
  });

  it("come only from functions", async () => {
    const error = await failure(() => compile("x" as never, { x }));
    expect(error.message).toBe('compile: fn must be a function, got "x"');
  });

  it("may be typed by an interface", async () => {
    interface Out {
      y: tf.Tensor;
      inner: { z: tf.Tensor };
    }
    const fn = ({ x }: { x: tf.Tensor }): Out => ({ y: tf.neg(x), inner: { z: tf.square(x) } });
    const program = await compile(fn, { x });
    const input: HostTensor = { dtype: "float32", shape: [2], data: Float32Array.of(2, 3) };
    const { y, inner } = await program({ x: input });
    expect([...y.data, ...inner.z.data]).toEqual([-2, -3, 4, 9]);
    program.dispose();
    expect(exportOnnx({ fn, specs: { x } }).length).toBeGreaterThan(0);
  });
});

/** Checked by tsc alone. */
const refusedByTypes = () => [
  // @ts-expect-error a promise
  () => compile(async ({ x }) => tf.exp(x), { x }),
  // @ts-expect-error a promise of a record
  () => exportOnnx({ fn: async ({ x }) => ({ x }), specs: { x } }),
  // @ts-expect-error a number
  () => compile(() => 3, { x }),
  // @ts-expect-error nothing
  () => compile(() => undefined, { x }),
  // @ts-expect-error an array
  () => compile(({ x }) => [x, x], { x }),
  // @ts-expect-error a function
  () => compile(() => tf.exp, { x }),
  // @ts-expect-error a number in a record
  () => compile(({ x }) => ({ x, n: { y: 3 } }), { x }),
  // @ts-expect-error an array in a record
  () => compile(({ x }) => ({ y: [x] }), { x }),
  // @ts-expect-error null in a record
  () => quantize({ fn: ({ x }) => ({ x, y: null }), specs: { x } }, { calibration: [] }),
];
void refusedByTypes;
