import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { key, uniform } from "@dmae/core";
import {
  disposeTensors,
  type Executor,
  eagerExecutor,
  type Params,
  selectBackend,
  toHost,
} from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createViT, type ViTOptions } from "./index.ts";
import { visibleTokens } from "./visible-tokens.ts";

const gray = {
  ...{ imageSize: 12, patchSize: 4, channels: 1, mean: [0.3], std: [0.4] },
  ...{ width: 8, depth: 2, heads: 2, numClasses: 5 },
} satisfies ViTOptions;
const random = (name: string, length: number) => uniform(key(name), new Float32Array(length));
const images = (name: string, rows: number, size: number, channels = 1) =>
  tf.tensor4d(random(name, rows * size * size * channels), [rows, size, size, channels]);

/** Parameters with a head that tells classes apart; the official one is next to 0. */
function paramsOf(vit: ReturnType<typeof createViT>): Params {
  const params = vit.init(key(1));
  const { shape } = params["head.weight"]!;
  params["head.weight"]!.dispose();
  return { ...params, "head.weight": tf.tensor(random("head", 40), shape) };
}

describe.each(["cpu", "wasm"] as const)("logits of visible patches on %s", (backend) => {
  it.each([true, false])(
    "are those of all patches where all are visible, in any order (globalPool %s)",
    async (globalPool) => {
      await selectBackend(backend);
      const vit = createViT({ ...gray, globalPool });
      tf.tidy(() => {
        const params = paramsOf(vit);
        const x = images("x", 2, 12);
        const visible = tf.tensor2d(
          [
            [0, 1, 2, 3, 4, 5, 6, 7, 8],
            [8, 3, 1, 0, 2, 7, 6, 4, 5],
          ],
          [2, 9],
          "int32",
        );
        expectClose(
          vit.logits(params, x, { visible }).dataSync(),
          vit.logits(params, x).dataSync(),
          { relative: 1e-4, absolute: 1e-5 },
        );
      });
    },
  );

  it.each([true, false])(
    "of the upper left quarter are those of a model of that size (globalPool %s)",
    async (globalPool) => {
      await selectBackend(backend);
      const vit = createViT({ ...gray, globalPool });
      const small = createViT({ ...gray, globalPool, imageSize: 8 });
      tf.tidy(() => {
        const params = paramsOf(vit);
        const x = images("y", 3, 12);
        const patches = [0, 1, 3, 4]; // two by two of three by three
        const rows = tf.tensor1d([0, ...patches.map((p) => p + 1)], "int32");
        const positions = tf.gather(params.pos_embed!, rows, 1);
        const visible = tf.tensor2d([patches, patches, patches], [3, 4], "int32");
        const cropped = tf.slice(x, [0, 0, 0, 0], [3, 8, 8, 1]);
        const want = small.logits({ ...params, pos_embed: positions }, cropped).dataSync();
        expectClose(vit.logits(params, x, { visible }).dataSync(), want, {
          relative: 1e-4,
          absolute: 1e-5,
        });
      });
    },
  );
});

describe("logits of visible patches", () => {
  it("have a gradient that is 0 on the pixels of dropped patches only", async () => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    tf.tidy(() => {
      const params = paramsOf(vit);
      const visible = tf.tensor2d([[4]], [1, 1], "int32");
      const loss = (x: tf.Tensor) =>
        tf.sum(tf.square(vit.logits(params, x, { visible }))) as tf.Scalar;
      const gradient = tf
        .grad(loss)(images("g", 1, 12))
        .dataSync();
      gradient.forEach((value, i) => {
        const [row, column] = [Math.floor(i / 12), i % 12];
        const seen = row >= 4 && row < 8 && column >= 4 && column < 8;
        expect(value !== 0).toBe(seen);
      });
    });
  });

  it.each([
    [[2, 0], "int32", "visible must be int32 [1, K] with K from 1 to 9, got int32 [2,0]"],
    [[1, 10], "int32", "got int32 [1,10]"],
    [[2, 3], "int32", "got int32 [2,3]"],
    [[1, 3], "float32", "got float32 [1,3]"],
    [[3], "int32", "got int32 [3]"],
  ] as const)("refuse ids of shape %s and type %s", async (shape, dtype, message) => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    const params = vit.init(key(0));
    const visible = tf.zeros([...shape], dtype);
    expect(() => vit.logits(params, tf.zeros([1, 12, 12, 1]), { visible })).toThrow(message);
    disposeTensors(params);
  });
});

describe("visibleTokens", () => {
  /** Copies that keep a band of columns, as `encoding: "mask"` has them. */
  function copies(
    starts: readonly number[],
    width: number,
    size: number,
    channels: number,
  ): Float32Array {
    const image = random("image", size * size * channels);
    const all = channels + 1;
    return Float32Array.from({ length: starts.length * size * size * all }, (_, i) => {
      const [row, rest, c] = [
        Math.floor(i / (size * size * all)),
        Math.floor(i / all) % (size * size),
        i % all,
      ];
      const kept = ((rest % size) - starts[row]! + size) % size < width;
      return kept ? (c === channels ? 1 : image[rest * channels + c]!) : 0;
    });
  }

  it("drops the patches that show nothing, whatever their number in each row", async () => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    const params = paramsOf(vit);
    const starts = [0, 1, 4, 11, 8]; // bands of 4: columns of patches 0 | 0 1 | 1 | 2 0 | 2
    const seen = [[0], [0, 1], [1], [0, 2], [2]];
    const batch = copies(starts, 4, 12, 1);
    const found = await visibleTokens(vit, params).predict(batch, [5, 12, 12, 2]);
    starts.forEach((_, row) => {
      tf.tidy(() => {
        const pixels = batch.subarray(row * 288, (row + 1) * 288).filter((__, i) => i % 2 === 0);
        const ids = [0, 1, 2].flatMap((r) => seen[row]!.map((c) => 3 * r + c));
        const visible = tf.tensor2d(ids, [1, ids.length], "int32");
        const want = vit
          .logits(params, tf.tensor4d(pixels, [1, 12, 12, 1]), { visible })
          .dataSync();
        expectClose(found.subarray(row * 5, row * 5 + 5), want, { relative: 1e-4, absolute: 1e-5 });
      });
    });
    disposeTensors(params);
  });

  it("gives the same logits on an executor, whatever fills its batches", async () => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    const tensors = paramsOf(vit);
    const params = await toHost(tensors);
    const batch = copies([0, 1, 4, 11, 8], 4, 12, 1); // three copies with 3 patches, two with 6
    const want = await visibleTokens(vit, tensors).predict(batch, [5, 12, 12, 2]);
    disposeTensors(tensors);
    for (const batchSize of [1, 2, 3, 16]) {
      const made: string[] = [];
      const eager = eagerExecutor();
      const executor: Executor = {
        ...eager,
        prepareFunction: (program) => {
          made.push(JSON.stringify(program.specs));
          return eager.prepareFunction(program);
        },
      };
      await expectNoLeak(async () => {
        const classify = visibleTokens(vit, params, { executor, batchSize });
        for (let time = 0; time < 2; time++) {
          const found = await classify.predict(batch, [5, 12, 12, 2]);
          expectClose(found, want, { relative: 1e-5, absolute: 1e-6 });
        }
        classify.dispose();
        await Promise.resolve();
      });
      const visible = (count: number) =>
        `"visible":{"shape":[${batchSize},${count}],"dtype":"int32"}`;
      expect(made.length).toBe(2);
      expect(made[0]).toContain(visible(3));
      expect(made[1]).toContain(visible(6));
    }
  });

  it("refuses options that are no executor or no batch size", () => {
    const vit = createViT(gray);
    const executor = eagerExecutor();
    expect(() => visibleTokens(vit, {}, {} as never)).toThrow("executor must be an Executor");
    expect(() => visibleTokens(vit, {}, { executor, batchSize: 0 })).toThrow(
      "visibleTokens: batchSize must be an integer of at least 1, got 0",
    );
  });

  it("covers enlarged pixels, and frees what it made", async () => {
    await selectBackend("cpu");
    const vit = createViT({ ...gray, channels: 3, mean: [0, 0, 0], std: [1, 1, 1], inputSize: 6 });
    const params = paramsOf(vit);
    const classify = visibleTokens(vit, params);
    const batch = copies([1, 3], 2, 6, 3); // pixels 1, 2 lie over columns 2 … 5: patches 0 and 1; 3, 4 over 6 … 9: 1 and 2
    await expectNoLeak(async () => {
      const found = await classify.predict(batch, [2, 6, 6, 4]);
      tf.tidy(() => {
        const pixels = batch.filter((_, i) => i % 4 !== 3);
        const ids = [
          [0, 1, 3, 4, 6, 7],
          [1, 2, 4, 5, 7, 8],
        ];
        const visible = tf.tensor2d(ids, [2, 6], "int32");
        const want = vit.logits(params, tf.tensor4d(pixels, [2, 6, 6, 3]), { visible }).dataSync();
        expectClose(found, want, { relative: 1e-4, absolute: 1e-5 });
      });
    });
    disposeTensors(params);
  });

  it("refuses batches without the mask's channel, and copies that keep nothing", async () => {
    await selectBackend("cpu");
    const vit = createViT(gray);
    const params = vit.init(key(0));
    const classify = visibleTokens(vit, params);
    await expect(classify.predict(new Float32Array(144), [1, 12, 12, 1])).rejects.toThrow(
      'visibleTokens: a batch must be [n, 12, 12, 2], the last channel 1 where a pixel is kept, got [1,12,12,1]; use encoding: "mask"',
    );
    await expect(classify.predict(new Float32Array(288), [1, 12, 12, 2])).rejects.toThrow(
      "each copy must keep a pixel, got row 0 whose last channel is 0 everywhere",
    );
    disposeTensors(params);
  });
});
