import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { key } from "@dmae/core";
import { selectBackend, toTensors } from "@dmae/nn";
import { initializeParameters } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { unpatchify } from "./parts.ts";
import { patchEmbed, patchEmbedParameters, patchify } from "./patches.ts";

const fixture = readFixture(new URL("./__fixtures__/geometry.safetensors", import.meta.url));

describe.each(["cpu", "wasm"])("patches on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("patchify and unpatchify: exactly the official order", () => {
    tf.tidy(() => {
      const recorded = fixture.get("patchify.p4_hw16.images");
      const nchw = tf.tensor(recorded.data as Float32Array, recorded.shape);
      const images = tf.transpose(nchw, [0, 2, 3, 1]);
      const patches = patchify(images, 4);
      expect(patches.shape).toEqual([2, 16, 48]);
      expectClose(patches.dataSync(), fixture.get("patchify.p4_hw16.patches").data);
      expectClose(unpatchify(patches, 4).dataSync(), images.dataSync());
    });
  });

  test("a grid that is no square: row, column, channel by hand", () => {
    tf.tidy(() => {
      const images = tf.reshape(tf.range(0, 16), [1, 2, 4, 2]); // 2 x 4 pixels, 2 channels
      const patches = patchify(images, 2);
      const expected = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
      expectClose(patches.dataSync(), expected);
      expectClose(unpatchify(patches, 2, [1, 2]).dataSync(), images.dataSync());
    });
  });

  test("patchEmbed is the strided convolution, by hand", () => {
    tf.tidy(() => {
      const images = tf.reshape(tf.range(0, 8), [1, 2, 2, 2]);
      const weight = tf.reshape(tf.range(0, 8), [1, 2, 2, 2]); // [out, channel, row, column]
      const params = {
        "patch_embed.proj.weight": weight,
        "patch_embed.proj.bias": tf.tensor1d([100]),
      };
      // channel 0 holds the pixels 0 2 4 6, weights 0 1 2 3; channel 1 1 3 5 7, weights 4 5 6 7
      const expected = 0 + 2 + 8 + 18 + 4 + 15 + 30 + 49 + 100;
      expectClose(patchEmbed(params, images).dataSync(), [expected]);
    });
  });

  test("keeps nothing", async () => {
    const shape = { width: 4, patchSize: 2, channels: 3 };
    const params = toTensors(initializeParameters(key(1), patchEmbedParameters(shape)));
    const images = tf.ones([1, 4, 4, 3]);
    await expectNoLeak(() => patchEmbed(params, images).dispose());
    const patches = patchify(images, 2);
    await expectNoLeak(() => unpatchify(patches, 2).dispose());
    tf.dispose([images, patches, params]);
  });
});

test("patchEmbedParameters: ranges of both draws, and the same values for the same key", () => {
  const specs = patchEmbedParameters({ width: 64, patchSize: 4, channels: 3 });
  const first = initializeParameters(key(7), specs);
  expect(initializeParameters(key(7), specs)).toEqual(first);
  expect(initializeParameters(key(8), specs)).not.toEqual(first);
  const range = (name: string) => Math.max(...first[name]!.data.map(Math.abs));
  const weightLimit = Math.sqrt(6 / (64 + 48));
  expect(range("patch_embed.proj.weight")).toBeLessThanOrEqual(weightLimit);
  expect(range("patch_embed.proj.weight")).toBeGreaterThan(0.99 * weightLimit);
  expect(range("patch_embed.proj.bias")).toBeLessThanOrEqual(1 / Math.sqrt(48));
  expect(range("patch_embed.proj.bias")).toBeGreaterThan(0.8 / Math.sqrt(48));
});

test("errors name the shapes", () => {
  expect(() => patchify(tf.zeros([1, 5, 4, 1]), 2)).toThrow(/multiples of 2, got \[1,5,4,1\]/);
  expect(() => unpatchify(tf.zeros([1, 6, 4]), 2)).toThrow(/N = rows x columns, got \[1,6,4\]/);
  expect(() => unpatchify(tf.zeros([1, 4, 6]), 2)).toThrow(/2\^2 C/);
});
