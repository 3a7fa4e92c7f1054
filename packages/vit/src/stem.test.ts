import "@tensorflow/tfjs-backend-cpu";
import { key, normal } from "@dmae/core";
import { selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createViT } from "./index.ts";
import { patchify } from "./parts.ts";
import { patchEmbed } from "./patches.ts";
import { applyStem } from "./stem.ts";

const config = {
  ...{ imageSize: 21, patchSize: 7, channels: 2, stemWidth: 3, mean: [0.5, 0.4], std: [0.3, 0.2] },
  ...{ width: 8, depth: 2, heads: 2, numClasses: 5 },
};
const vit = createViT(config);
const host = vit.initHost(key(1));
const pixels = normal(key(2), new Float32Array(21 * 21 * 2)) as Float32Array;
const images = () => tf.tensor(pixels, [1, 21, 21, 2]);

beforeAll(() => selectBackend("cpu"));

test("the parameters of the stem come before the projection, which reads what it leaves", () => {
  const shapes = Object.entries(host).filter(([name]) => name.startsWith("patch_embed."));
  expect(shapes.map(([name, { shape }]) => `${name} ${shape}`)).toEqual([
    "patch_embed.stem.0.weight 3,2,3,3",
    "patch_embed.stem.0.bias 3",
    "patch_embed.stem.1.weight 6,3,3,3",
    "patch_embed.stem.1.bias 6",
    "patch_embed.proj.weight 8,6,4,4",
    "patch_embed.proj.bias 8",
  ]);
});

test("equals plain loops over the pixels of each patch", () => {
  tf.tidy(() => {
    const params = toTensors(host);
    const patches = patchify(images(), 7); // [1, 9, 98]
    const erf = (x: number) => tf.erf(tf.scalar(x)).dataSync()[0]!;
    const layer = (x: number[], side: number, inputs: number, index: number, stride: number) => {
      const weight = host[`patch_embed.stem.${index}.weight`]!;
      const outputs = weight.shape[0]!;
      const result: number[] = [];
      for (let row = 0; row < side; row += stride)
        for (let column = 0; column < side; column += stride)
          for (let o = 0; o < outputs; o++) {
            let sum = (host[`patch_embed.stem.${index}.bias`]!.data as Float32Array)[o]!;
            for (let c = 0; c < inputs; c++)
              for (const r of [0, 1, 2])
                for (const s of [0, 1, 2]) {
                  const [y, z] = [row + r - 1, column + s - 1];
                  if (y < 0 || z < 0 || y >= side || z >= side) continue;
                  const factor = (weight.data as Float32Array)[((o * inputs + c) * 3 + r) * 3 + s]!;
                  sum += factor * x[(y * side + z) * inputs + c]!;
                }
            result.push((sum / 2) * (1 + erf(sum / Math.SQRT2)));
          }
      return result;
    };
    const expected = (patches.arraySync() as number[][][])[0]!.flatMap((patch) =>
      layer(layer(patch, 7, 2, 0, 1), 7, 3, 1, 2),
    );
    const found = applyStem(params, patches, 7);
    expect(found.shape).toEqual([1, 9, 96]);
    expectClose(found.dataSync(), expected, { absolute: 1e-5 });
  });
});

test("a token depends on its own patch alone, and visible ones can be taken out", () => {
  tf.tidy(() => {
    const params = toTensors(host);
    const all = patchEmbed(params, images(), 7).arraySync() as number[][][];
    const changed = pixels.slice();
    changed[8 * 2] = 5; // the pixel (0, 8), in the second patch
    const other = patchEmbed(
      params,
      tf.tensor(changed, [1, 21, 21, 2]),
      7,
    ).arraySync() as number[][][];
    const same = all[0]!.map((token, i) => `${token}` === `${other[0]![i]}`);
    expect(same).toEqual([true, false, ...Array(7).fill(true)]);
    const visible = tf.tensor2d([[7, 2]], [1, 2], "int32");
    const some = patchEmbed(params, images(), 7, visible).arraySync() as number[][][];
    expect(some[0]).toEqual([all[0]![7], all[0]![2]]);
  });
});

test("keeps nothing", async () => {
  const params = toTensors(host);
  const x = images();
  await expectNoLeak(() => vit.logits(params, x).dispose());
  tf.dispose([params, x]);
});

test("refuses a stem of width 0", () => {
  expect(() => createViT({ ...config, stemWidth: 0 })).toThrow(
    /stemWidth must be a positive integer/,
  );
});
