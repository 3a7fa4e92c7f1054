import "@tensorflow/tfjs-backend-cpu";
import { DmaeError, type HostTensor, key, normal } from "@dmae/core";
import { attention, gelu, layerNorm, linear } from "@dmae/nn";
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
    const bytes = exportOnnx(classify, specs, {
      constants: params,
      dynamicBatch: true,
      graphName: "tiny",
    });
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
      ({ x }) => ({ y: tf.exp(x) }),
      { x: { shape: [2] } },
      { names: { x: "pixels", y: "growth" } },
    );
    const session = await ort.InferenceSession.create(bytes);
    expect([...session.inputNames, ...session.outputNames]).toEqual(["pixels", "growth"]);
    await session.release();
    const bad = () =>
      exportOnnx(({ x }) => ({ y: tf.exp(x) }), { x: { shape: [2] } }, { names: { z: "a" } });
    expect(bad).toThrow("names must rename x, y, got z");
    expect(() => exportOnnx(({ x }) => ({ x: tf.exp(x) }), { x: { shape: [2] } })).toThrow(
      "both called x",
    );
  });

  it("says so when numbers depend on the batch size", () => {
    const average = ({ x }: Record<string, tf.Tensor>) => ({ y: tf.div(x!, x!.shape[0]!) });
    try {
      exportOnnx(average, { x: { shape: [1, 2] } }, { dynamicBatch: true });
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
    const bytes = exportOnnx(first, { x: { shape: [2, 4] } });
    const session = await ort.InferenceSession.create(bytes);
    const data = Float32Array.of(1, 4, 2, 3, 5, 8, 7, 6);
    const results = await session.run({ x: new ort.Tensor("float32", data, [2, 4]) });
    expect(Array.from(results.half!.data as Float32Array)).toEqual([1, 4, 5, 8]);
    expect(Array.from(results.row!.data as Float32Array)).toEqual([1, 4, 2, 3]);
    expect(Array.from(results.most!.data as Float32Array)).toEqual([4, 3, 8, 7]);
    expect(Array.from(results.pooled!.data as Float32Array)).toEqual([8, 7]);
    await session.release();
  });

  it("gives what compile gives", async () => {
    const specs = { image: { shape: [2, 4, 4, 1] } };
    const image = gaussian(77, [2, 4, 4, 1]);
    const program = await compile(classify, specs, { constants: params });
    const expected = (await program.call({ image })).logits.data;
    program.dispose();
    const session = await ort.InferenceSession.create(
      exportOnnx(classify, specs, { constants: params }),
    );
    const { logits } = await session.run({
      image: new ort.Tensor("float32", image.data as Float32Array, image.shape),
    });
    expectClose(logits!.data as Float32Array, expected, { absolute: 1e-6 });
    await session.release();
  });
});
