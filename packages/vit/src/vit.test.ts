import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { key } from "@dmae/core";
import { disposeTensors, selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createViT, type ViTOptions } from "./index.ts";
import { layerId } from "./layer-id.ts";
import { parameterShapes, positionTensor } from "./vit.ts";

const gray = {
  ...{ imageSize: 12, patchSize: 4, channels: 1, mean: [0.3], std: [0.4] },
  ...{ width: 8, depth: 2, heads: 2, numClasses: 5 },
} satisfies ViTOptions;

describe("configuration", () => {
  test.each([
    ["vit_tiny_patch16", 5_717_416],
    ["vit_small_patch16", 22_050_664],
    ["vit_base_patch16", 86_567_656],
    ["vit_large_patch16", 304_326_632],
    ["vit_huge_patch14", 632_045_800],
  ] as const)("%s has %d parameters, as timm counts them", (name, count) => {
    const shapes = parameterShapes(createViT(name, { globalPool: false }).config);
    const sizes = Object.values(shapes).map((shape) => shape.reduce((a, b) => a * b, 1));
    expect(sizes.reduce((a, b) => a + b)).toBe(count);
  });

  test.each([
    ["vit_large_patch16", 1024, 24, 16, 16],
    ["vit_huge_patch14", 1280, 32, 16, 14],
  ] as const)("%s", (name, width, depth, heads, patchSize) => {
    expect(createViT(name).config).toMatchObject({ width, depth, heads, patchSize, epsilon: 1e-6 });
  });

  test("is a Model: apply gives the logits, and there is no state", async () => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    expect(vit).toMatchObject({ imageShape: [12, 12, 1], numClasses: 5, buffers: [] });
    tf.tidy(() => {
      const params = vit.init(key(0));
      const x = tf.ones([2, 12, 12, 1]);
      const { logits, updates } = vit.apply(params, x, { training: true });
      expectClose(logits.dataSync(), vit.logits(params, x).dataSync());
      expect(updates).toBeUndefined();
    });
  });

  test("is complete and frozen; overrides win", () => {
    const { config } = createViT("vit_base_patch16", { inputSize: 32, numClasses: 10 });
    expect(config).toMatchObject({ inputSize: 32, imageSize: 224, numClasses: 10, width: 768 });
    expect(Object.isFrozen(config)).toBe(true);
    expect(createViT(gray).config.inputSize).toBe(12);
  });

  test.each([
    ["vit_gigantic", {}, /unknown model "vit_gigantic"; known are vit_tiny_patch16/],
    [gray, { patchSize: 5 }, /imageSize must be a multiple of patchSize, got 12 and 5/],
    [gray, { heads: 3 }, /width must be a multiple of heads and of 4, got 8 and 3 heads/],
    [
      gray,
      { channels: 2 },
      /mean must hold one number for each of the 2 channel\(s\), got \[0.3\]/,
    ],
    [{ ...gray, mean: [] }, {}, /got none: pass those of your images/],
    [gray, { std: [0] }, /std must be positive, got \[0\]/],
    [gray, { depth: 0 }, /depth must be a positive integer, got 0/],
    [gray, { numClasses: 1.5 }, /numClasses must be an integer, 0 or more, got 1.5/],
    [gray, { epsilon: 0 }, /epsilon must be positive, got 0/],
    [gray, { mean: null as never }, /mean must be an array, got null/],
    [gray, { std: "x" as never }, /std must be an array, got "x"/],
    [gray, { globalPool: 1 as never }, /globalPool must be true or false, got 1/],
    [gray, { depth: 1e300 }, /depth must be a positive integer/],
    [gray, { mlpRatio: 0.3 }, /mlpRatio \* width must be a positive integer, got 0.3 \* 8/],
  ])("%#: a bad field is named", (model, overrides, message) => {
    expect(() => createViT(model as ViTOptions, overrides)).toThrow(message);
  });
});

describe("initialisation", () => {
  beforeAll(() => selectBackend("cpu"));
  const vit = createViT({ ...gray, width: 64, heads: 2 });
  const host = vit.initHost(key(3));

  test("follows from the key alone", () => {
    expect(vit.initHost(key(3))).toEqual(host);
    const other = vit.initHost(key(4));
    expect(other["blocks.0.attn.qkv.weight"]).not.toEqual(host["blocks.0.attn.qkv.weight"]);
    const name = "attn.qkv.weight";
    expect(host[`blocks.0.${name}`]!.data).not.toEqual(host[`blocks.1.${name}`]!.data);
  });

  test("names and shapes are those of parameterShapes, in its order", () => {
    const shapes = parameterShapes(vit.config);
    expect(Object.keys(host)).toEqual(Object.keys(shapes));
    for (const [name, { shape, data }] of Object.entries(host)) {
      expect(shape).toEqual(shapes[name]);
      expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
    }
  });

  test("the order is the official state dict's", () => {
    const last = (globalPool: boolean) =>
      Object.keys(parameterShapes({ ...vit.config, globalPool })).slice(-5);
    const fc2 = "blocks.1.mlp.fc2.bias";
    const pair = (layer: string) => [`${layer}.weight`, `${layer}.bias`];
    expect(last(true)).toEqual([fc2, ...pair("head"), ...pair("fc_norm")]);
    expect(last(false)).toEqual([fc2, ...pair("norm"), ...pair("head")]);
  });

  test("values of the official recipe", () => {
    const std = (name: string) => {
      const data = host[name]!.data as Float32Array;
      return Math.sqrt(data.reduce((s, x) => s + x * x, 0) / data.length);
    };
    expect(host.pos_embed).toEqual(positionTensor(64, 3));
    expect(std("head.weight")).toBeGreaterThan(1.7e-5);
    expect(std("head.weight")).toBeLessThan(2.3e-5);
    expect(std("cls_token")).toBeGreaterThan(0.014);
    expect(std("cls_token")).toBeLessThan(0.027);
    const limit = Math.sqrt(6 / (64 + 3 * 64)); // uniform: its deviation is limit / sqrt 3
    const qkv = host["blocks.1.attn.qkv.weight"]!.data;
    expect(Math.max(...qkv.map(Math.abs))).toBeLessThanOrEqual(limit);
    expectClose([std("blocks.1.attn.qkv.weight")], [limit / Math.sqrt(3)], { relative: 0.02 });
    expect(new Set(host["blocks.0.norm1.weight"]!.data)).toEqual(new Set([1]));
    for (const name of ["head.bias", "fc_norm.bias", "blocks.0.mlp.fc1.bias"])
      expect(new Set(host[name]!.data)).toEqual(new Set([0]));
  });

  test("a model without a head has none", () => {
    const headless = createViT({ ...gray, numClasses: 0 });
    expect(Object.keys(headless.initHost(key(0))).some((n) => n.startsWith("head"))).toBe(false);
    const params = headless.init(key(0));
    const x = tf.zeros([1, 12, 12, 1]);
    expect(() => headless.logits(params, x)).toThrow(/no head/);
    disposeTensors({ ...params, x });
  });
});

describe.each(["cpu", "wasm"])("applied on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("a row does not depend on the rows beside it", () => {
    tf.tidy(() => {
      const vit = createViT(gray);
      const params = vit.init(key(1));
      params["head.weight"] = tf.mul(params["head.weight"]!, 1e5);
      const values = Float32Array.from({ length: 3 * 144 }, (_, i) => Math.abs(Math.sin(i)));
      const x = tf.tensor4d(values, [3, 12, 12, 1]);
      const together = vit.logits(params, x).dataSync();
      for (let row = 0; row < 3; row++) {
        const alone = vit.logits(params, tf.slice(x, row, 1)).dataSync();
        expectClose(alone, together.slice(5 * row, 5 * row + 5), { absolute: 1e-5 });
        expect(Math.max(...alone.map(Math.abs))).toBeGreaterThan(0.1);
      }
    });
  });

  test("keeping every branch at scale 1 is the plain model; dropping all leaves the embedding", () => {
    tf.tidy(() => {
      const vit = createViT({ ...gray, globalPool: false });
      const params = vit.init(key(1));
      const x = tf.fill([2, 12, 12, 1], 0.7);
      const plain = vit.features(params, x).dataSync();
      const kept = vit.features(params, x, { dropPath: tf.ones([2, 2, 2]) }).dataSync();
      expectClose(kept, plain, { absolute: 1e-6 });
      const dropped = vit.features(params, x, { dropPath: tf.zeros([2, 2, 2]) }).dataSync();
      const token = tf.add(params.cls_token!, tf.slice(params.pos_embed!, [0, 0, 0], [1, 1, 8]));
      const t = Array.from(token.dataSync());
      const mean = t.reduce((s, v) => s + v, 0) / 8;
      const variance = t.reduce((s, v) => s + (v - mean) ** 2, 0) / 8;
      const norm = t.map((v) => (v - mean) / Math.sqrt(variance + 1e-6));
      expectClose(dropped, [...norm, ...norm], { absolute: 1e-5 });
    });
  });

  test("keeps nothing and disposes of nothing", async () => {
    const vit = createViT(gray, { inputSize: 6 });
    const params = vit.init(key(1));
    const x = tf.ones([2, 6, 6, 1]);
    await expectNoLeak(() => vit.logits(params, x).dispose());
    await expectNoLeak(() => vit.features(params, x).dispose());
    expect(Object.values(params).some((tensor) => tensor.isDisposed)).toBe(false);
    disposeTensors(params);
    x.dispose();
  });

  test("parameters that are missing or of another shape are listed, all at once", () => {
    tf.tidy(() => {
      const vit = createViT(gray);
      const { "head.bias": _, ...params } = vit.init(key(1));
      const x = tf.zeros([1, 12, 12, 1]);
      params.pos_embed = tf.zeros([1, 5, 8]);
      expect(() => vit.logits(params, x)).toThrow(
        "logits: params do not fit the model: pos_embed must be [1,10,8], got [1,5,8]; head.bias [5] is missing",
      );
      expect(() => vit.features({}, x)).toThrow(/cls_token \[1,1,8\] is missing; pos_embed/);
    });
  });

  test("wrong shapes are named", () => {
    tf.tidy(() => {
      const vit = createViT(gray);
      const params = vit.init(key(1));
      expect(() => vit.logits(params, tf.zeros([1, 8, 8, 1]))).toThrow(
        /x must be \[B, 12, 12, 1\], got \[1,8,8,1\]/,
      );
      const dropPath = tf.zeros([2, 2]);
      expect(() => vit.logits(params, tf.zeros([1, 12, 12, 1]), { dropPath })).toThrow(
        /dropPath must be \[2, 2, 1\], got \[2,2\]/,
      );
    });
  });
});

test("layerId: tokens 0, block i + 1, the rest depth + 1", () => {
  const ids = (names: string[]) => names.map((name) => layerId(name, 12));
  expect(ids(["cls_token", "pos_embed", "patch_embed.proj.bias"])).toEqual([0, 0, 0]);
  expect(ids(["blocks.0.norm1.weight", "blocks.11.mlp.fc2.bias"])).toEqual([1, 12]);
  expect(ids(["norm.weight", "fc_norm.bias", "head.weight"])).toEqual([13, 13, 13]);
  expect(() => layerId("blocks.12.norm1.weight", 12)).toThrow(/beyond the 12 blocks/);
});
