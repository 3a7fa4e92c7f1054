import "@tensorflow/tfjs-backend-cpu";
import { DmaeError, type HostTensor, key, normal } from "@dmae/core";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { compile, exportOnnx } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const gaussian = (seed: number, shape: number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data: normal(
    key(seed),
    shape.reduce((n, d) => n * d, 1),
    { standardDeviation: 0.4 },
  ) as Float32Array,
});

const params = {
  "embed.weight": gaussian(1, [12, 4]),
  "embed.bias": gaussian(2, [12]),
  "cls.weight": gaussian(3, [1, 1, 12]),
  "norm.weight": gaussian(4, [12]),
  "norm.bias": gaussian(5, [12]),
  "qkv.weight": gaussian(6, [36, 12]),
  "qkv.bias": gaussian(7, [36]),
  "head.weight": gaussian(8, [3, 12]),
  "head.bias": gaussian(9, [3]),
};

/** Patches, a class token that is repeated over the batch, attention, a head. */
function classify({ image, ...rest }: Record<string, tf.Tensor>) {
  const p = (name: string) => rest[name]!;
  const batch = image!.shape[0]!;
  const patches = tf.reshape(image!, [batch, 4, 4]);
  const tokens = linear(patches, p("embed.weight"), p("embed.bias"));
  const first = tf.add(p("cls.weight"), tf.zeros([batch, 1, 12]));
  const x = layerNorm(tf.concat([first, tokens], 1), p("norm.weight"), p("norm.bias"));
  const attended = gelu(attention(linear(x, p("qkv.weight"), p("qkv.bias")), 2));
  return { logits: linear(tf.mean(attended, 1), p("head.weight"), p("head.bias")) };
}

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

describe("exportOnnx", () => {
  it("writes a classifier that runs at any batch size, under the names of its parameters", async () => {
    const specs = { image: { shape: [1, 4, 4, 1] } };
    const bytes = exportOnnx(
      { fn: classify, specs, constants: params },
      { dynamicBatch: true, graphName: "tiny" },
    );
    const session = await ort.InferenceSession.create(bytes);
    expect([...session.inputNames, ...session.outputNames]).toEqual(["image", "logits"]);
    expect(session.inputMetadata[0]).toMatchObject({ type: "float32", shape: ["batch", 4, 4, 1] });
    expect(session.outputMetadata[0]).toMatchObject({ shape: ["batch", 3] });
    for (const name of [...Object.keys(params), "qkv/Attention", "head/Gemm"])
      expect(text(bytes)).toContain(name);
    for (const batch of [1, 2, 7]) {
      const image = gaussian(50 + batch, [batch, 4, 4, 1]);
      const feeds = { image: new ort.Tensor("float32", image.data as Float32Array, image.shape) };
      const { logits } = await session.run(feeds);
      const eager = tf.tidy(() => {
        const tensors = Object.entries({ ...params, image }).map(([k, v]) => [
          k,
          tf.tensor(v.data, [...v.shape]),
        ]);
        return classify(Object.fromEntries(tensors)).logits.dataSync();
      });
      expectClose(logits!.data as Float32Array, eager, { absolute: 1e-5 });
    }
    await session.release();
  });

  it("renames inputs and outputs", async () => {
    const bytes = exportOnnx(
      { fn: ({ x }) => ({ y: tf.exp(x) }), specs: { x: { shape: [2] } } },
      { names: { x: "pixels", y: "growth" } },
    );
    const session = await ort.InferenceSession.create(bytes);
    expect([...session.inputNames, ...session.outputNames]).toEqual(["pixels", "growth"]);
    await session.release();
    const bad = () =>
      exportOnnx(
        { fn: ({ x }) => ({ y: tf.exp(x) }), specs: { x: { shape: [2] } } },
        { names: { z: "a" } },
      );
    expect(bad).toThrow("names must rename x, y, got z");
    expect(() =>
      exportOnnx({ fn: ({ x }) => ({ x: tf.exp(x) }), specs: { x: { shape: [2] } } }),
    ).toThrow(
      "an input and an output are both called x; let the function return it under another name",
    );
  });

  it("refuses names that are empty or not different", () => {
    const x = { shape: [2] };
    const named = (names: Record<string, unknown>) => () =>
      exportOnnx({ fn: ({ x, y }) => ({ a: tf.exp(x), b: tf.neg(y) }), specs: { x, y: x } }, {
        names,
      } as never);
    const twice = /every input and output needs a name of its own, but two are called (z|y|b)/;
    expect(named({ a: "z", b: "z" })).toThrow(twice);
    expect(named({ x: "z", y: "z" })).toThrow(twice);
    expect(named({ x: "y" })).toThrow(twice);
    expect(named({ x: "b" })).toThrow(twice);
    expect(named({ x: "y", y: "x", a: "b", b: "a" })()).toBeInstanceOf(Uint8Array); // they change places
    expect(named({ x: "" })).toThrow(
      'the new name of x must be a string that is not empty, got ""',
    );
    expect(named({ a: 3 })).toThrow("the new name of a must be a string that is not empty, got 3");
  });

  it("says so when numbers depend on the batch size", () => {
    const average = ({ x }: Record<string, tf.Tensor>) => ({ y: tf.div(x!, x!.shape[0]!) });
    try {
      exportOnnx({ fn: average, specs: { x: { shape: [1, 2] } } }, { dynamicBatch: true });
      expect.unreachable();
    } catch (error) {
      expect(DmaeError.isInstance(error, "shape")).toBe(true);
      expect((error as Error).message).toContain("must not depend on the batch size");
    }
  });

  it("writes operators of several outputs of which only the first is read", async () => {
    const first = ({ x }: Record<string, tf.Tensor>) => ({
      half: tf.split(x!, 2, 1)[0]!,
      row: tf.unstack(x!)[0]!,
      most: tf.topk(x!, 2).values,
      pooled: tf.maxPool(tf.reshape(x!, [1, 2, 4, 1]) as tf.Tensor4D, 2, 2, "valid"),
    });
    const bytes = exportOnnx({ fn: first, specs: { x: { shape: [2, 4] } } });
    const session = await ort.InferenceSession.create(bytes);
    const data = Float32Array.of(1, 4, 2, 3, 5, 8, 7, 6);
    const results = await session.run({ x: new ort.Tensor("float32", data, [2, 4]) });
    expect(Array.from(results.half!.data as Float32Array)).toEqual([1, 4, 5, 8]);
    expect(Array.from(results.row!.data as Float32Array)).toEqual([1, 4, 2, 3]);
    expect(Array.from(results.most!.data as Float32Array)).toEqual([4, 3, 8, 7]);
    expect(Array.from(results.pooled!.data as Float32Array)).toEqual([8, 7]);
    await session.release();
  });

  it("names the dimensions that are not the batch, but depend on it", async () => {
    const fn = ({ x }: { x: tf.Tensor }) => ({
      twice: tf.reshape(x, [x.shape[0]! * 2, 2]),
      more: tf.pad(x, [
        [2, 1],
        [0, 0],
      ]),
      square: tf.matMul(tf.reshape(x, [-1, 1]), tf.reshape(x, [1, -1])),
      blocks: tf.spaceToBatchND(
        tf.reshape(x, [-1, 2, 2, 1]),
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
      x2: tf.neg(x),
    });
    const bytes = exportOnnx({ fn, specs: { x: { shape: [1, 4] } } }, { dynamicBatch: true });
    const session = await ort.InferenceSession.create(bytes);
    expect(session.outputMetadata.map((output) => output.isTensor && output.shape)).toEqual([
      ["2*batch", 2],
      ["batch + 3", 4],
      ["4*batch", "4*batch"],
      ["4*batch", 1, 1, 1],
      ["batch", 4],
    ]);
    for (const batch of [1, 3]) {
      const x = gaussian(60, [batch, 4]);
      const feeds = { x: new ort.Tensor("float32", x.data as Float32Array, x.shape) };
      const results = await session.run(feeds);
      for (const [name, eager] of Object.entries(fn({ x: tf.tensor(x.data, [batch, 4]) }))) {
        expect(results[name]!.dims).toEqual(eager.shape);
        expectClose(results[name]!.data as Float32Array, eager.dataSync(), { absolute: 1e-6 });
      }
    }
    await session.release();
  });

  it("gathers by row at any batch size", async () => {
    const fn = ({ x, i }: { x: tf.Tensor; i: tf.Tensor }) => ({
      y: tf.gather(x, tf.cast(i, "int32") as tf.Tensor2D, 1, 1),
      rows: tf.add(tf.range(0, 3 * x.shape[0]!, 3, "int32"), 2),
      ones: tf.ones([x.shape[0]!, 2]),
    });
    const specs = { x: { shape: [2, 4, 3] }, i: { shape: [2, 2] } };
    const bytes = exportOnnx({ fn, specs }, { dynamicBatch: true });
    const session = await ort.InferenceSession.create(bytes);
    expect(session.outputMetadata.map((output) => output.isTensor && output.shape)).toEqual([
      ["batch", 2, 3],
      ["batch"],
      ["batch", 2],
    ]);
    for (const batch of [1, 5]) {
      const x = gaussian(61, [batch, 4, 3]);
      const places = Float32Array.from({ length: 2 * batch }, (_, i) => (7 * i) % 4);
      const { y, rows, ones } = await session.run({
        x: new ort.Tensor("float32", x.data as Float32Array, x.shape),
        i: new ort.Tensor("float32", places, [batch, 2]),
      });
      const eager = fn({ x: tf.tensor(x.data, [batch, 4, 3]), i: tf.tensor(places, [batch, 2]) });
      expect(y!.dims).toEqual([batch, 2, 3]);
      expect(Array.from(y!.data as Float32Array)).toEqual(Array.from(eager.y.dataSync()));
      expect(Array.from(ones!.data as Float32Array)).toEqual(new Array(2 * batch).fill(1));
      expect(Array.from(rows!.data as Int32Array)).toEqual(Array.from(eager.rows.dataSync()));
    }
    await session.release();
  });

  it("says so where a function runs at some batch sizes only", () => {
    const pairs = ({ x }: { x: tf.Tensor }) => ({ y: tf.reshape(x, [-1, 2, 4]) });
    const specs = { x: { shape: [4, 4] } };
    expect(exportOnnx({ fn: pairs, specs })).toBeInstanceOf(Uint8Array);
    expect(() => exportOnnx({ fn: pairs, specs }, { dynamicBatch: true })).toThrow(
      /must run at every batch size, but at 97 it fails \(.*388 .*\); keep the batch axis apart/,
    );
    const scalar = { s: { shape: [] } };
    expect(() =>
      exportOnnx({ fn: ({ s }) => ({ y: tf.exp(s) }), specs: scalar }, { dynamicBatch: true }),
    ).toThrow("every input needs a batch axis, s is a scalar");
    const own = new RangeError("mine");
    const fails = () => {
      throw own;
    };
    expect(() => exportOnnx({ fn: fails, specs }, { dynamicBatch: true })).toThrow(own);
  });

  it("gives what compile gives", async () => {
    const specs = { image: { shape: [2, 4, 4, 1] } };
    const image = gaussian(77, [2, 4, 4, 1]);
    const program = await compile({ fn: classify, specs, constants: params });
    const expected = (await program({ image })).logits.data;
    program.dispose();
    const session = await ort.InferenceSession.create(
      exportOnnx({ fn: classify, specs, constants: params }),
    );
    const { logits } = await session.run({
      image: new ort.Tensor("float32", image.data as Float32Array, image.shape),
    });
    expectClose(logits!.data as Float32Array, expected, { absolute: 1e-6 });
    await session.release();
  });
});
