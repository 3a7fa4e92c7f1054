import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { certify } from "../procedures/certify.ts";
import { fromFloat16, toFloat16 } from "./float16.ts";
import { fromOnnx } from "./from-onnx.ts";
import { readNumbers } from "./outputs.ts";
import type { Preprocessing } from "./preprocessing.ts";
import { resizeBatch } from "./resize-batch.ts";

// answers of Python's onnxruntime to inputs that numpy prepared (make-preprocessing.py)
const want = JSON.parse(
  readFileSync(new URL("../__fixtures__/preprocessing.json", import.meta.url), "utf8"),
) as Record<string, number[]>;
const open = (name: string, options: Preprocessing = {}) =>
  fromOnnx(new URL(`../__fixtures__/preprocessing/${name}.onnx`, import.meta.url), options);
const pattern = (length: number) => Float32Array.from({ length }, (_, i) => ((i * 37) % 101) / 101);
const x = pattern(96);
const large = pattern(2 * 9 * 7 * 3);
const withAlpha = Float32Array.from({ length: 128 }, (_, i) =>
  i % 4 === 3 ? 0.5 : x[Math.floor(i / 4) * 3 + (i % 4)]!,
);
const caffe = {
  channels: "bgr",
  scale: 255,
  mean: [103.5, 116.25, 123],
  std: [57, 58, 59],
} as const;

async function answer(
  name: string,
  options: Preprocessing = {},
  batch = x,
  shape = [2, 4, 4, 3],
): Promise<ArrayLike<number>> {
  const classifier = await open(name, options);
  return (await readNumbers(await classifier.predict(batch, shape))).values;
}

describe("preprocessing gives the answers of Python", () => {
  it.each<[name: string, model: string, options: Preprocessing]>([
    ["first", "first", {}],
    ["first", "first", { channels: "rgb", layout: "NCHW" }],
    ["bgr", "first", caffe],
    ["last", "last", {}],
    ["lastBgr", "last", caffe],
    ["bytes", "bytes", {}],
    ["pooled", "pooled", {}],
    ["several", "several", { output: "logits" }],
    ["gray", "gray", { channels: "gray" }],
  ])("%s", async (name, model, options) => {
    expectClose(await answer(model, options), want[name]!, { absolute: 1e-5, relative: 1e-5 });
  });

  it("from pixels with alpha, which the model does not see", async () => {
    for (const options of [{}, caffe])
      expectClose(
        await answer("first", options, withAlpha, [2, 4, 4, 4]),
        want[options === caffe ? "bgr" : "first"]!,
        { absolute: 1e-5 },
      );
  });

  it("with means and deviations in typed arrays", async () => {
    const [mean, std] = [
      [0.1, 0.2, 0.3],
      [0.5, 0.25, 0.125],
    ];
    const typed = { mean: Float64Array.from(mean), std: Float64Array.from(std) };
    expect(await answer("first", typed)).toEqual(await answer("first", { mean, std }));
  });

  it("of float16 models, to the precision of float16", async () => {
    expectClose(await answer("half"), want.half!, { absolute: 2e-3 });
  });

  it("of images that are resized after the noise, as ONNX's Resize does", async () => {
    expectClose(await answer("first", { size: 4 }, large, [2, 9, 7, 3]), want.sized!, {
      absolute: 1e-5,
    });
    expectClose(resizeBatch(large, [2, 9, 7, 3], [13, 20]), want.enlarged!, { absolute: 2e-6 });
    expectClose(resizeBatch(large, [2, 9, 7, 3], [4, 5]), want.reduced!, { absolute: 2e-6 });
    expect(resizeBatch(x, [2, 4, 4, 3], [4, 4])).toEqual(x);
  });

  it("of images that are resized with antialiasing, as PyTorch does", async () => {
    const resize = (rows: number, columns: number) =>
      resizeBatch(large, [2, 9, 7, 3], [rows, columns], true);
    expectClose(resize(11, 9), want.enlargedSmoothly!, { absolute: 2e-6 });
    expectClose(resize(4, 5), want.reducedSmoothly!, { absolute: 2e-6 });
    const options = { size: 4, antialias: true };
    expect(await answer("first", options, large, [2, 9, 7, 3])).toEqual(
      await answer("first", {}, Float32Array.from(resize(4, 4)), [2, 4, 4, 3]),
    );
    await expect(open("first", { antialias: true })).rejects.toThrow("give size too");
    const { preprocessing } = await open("first", { size: 4, antialias: false });
    expect(preprocessing).toEqual((await open("first", { size: 4 })).preprocessing);
  });
});

describe("a model with one output", () => {
  it("has two classes: a probability after a sigmoid, or what binary says", async () => {
    const p = want.sigmoid!;
    expectClose(await answer("sigmoid"), [1 - p[0]!, p[0]!, 1 - p[1]!, p[1]!], { absolute: 1e-6 });
    const s = want.logit!;
    expectClose(await answer("logit", { binary: "logit" }), [-s[0]!, s[0]!, -s[1]!, s[1]!], {
      absolute: 1e-6,
    });
    const image = { data: x.slice(0, 48), shape: [4, 4, 3] };
    const options = { sigma: 0.5, seed: 0, n: 200, n0: 10 };
    const want2 = await certify(await open("logit", { binary: "logit" }), image, options);
    expect(want2.counts).toHaveLength(2);
    expect(await certify(await open("sigmoid"), image, options)).toEqual(want2);
  });

  it("is refused where it may be either, or is no probability", async () => {
    const image = { data: x.slice(0, 48), shape: [4, 4, 3] };
    await expect(
      certify(await open("logit"), image, { sigma: 0.5, numClasses: 2, n: 10 }),
    ).rejects.toThrow('say binary: "probability" or "logit" to fromOnnx'); // may be a regression, too
    await expect(answer("logit", { binary: "probability", scale: 100 })).rejects.toThrow(
      "must be a probability, got",
    );
  });
});

describe("what does not fit is refused with what to set", () => {
  const image = { data: x.slice(0, 48), shape: [4, 4, 3] };
  const small = { sigma: 0.25, n: 10, n0: 10 };

  it.each<[string, Preprocessing, string]>([
    ["several", {}, "output must be one of opposite, logits, got undefined"],
    ["gray", {}, "the model takes 1 channels (NCHW), the images [4,4,3] give 3; set channels"],
    ["first", { channels: "bgra" as "bgr" }, 'channels must be "rgb", "bgr" or "gray", got "bgra"'],
    ["first", { scale: 0 }, "scale must be above 0 and finite"],
    [
      "first",
      { mean: [Number.NaN] },
      "mean must be finite, a number or one for each channel, got NaN",
    ],
    ["first", { mean: ["0.5", 1] as never }, 'one for each channel, got ["0.5", 1]'],
    ["first", { size: null as never }, "size must be one or two integers of 1 to 16384, got null"],
    ["first", { mean: [0, 0], std: [1, 1, 1] }, "a number for each channel, got 2 and 3"],
    ["first", { std: [1, -1, 1] }, "std must be above 0"],
    ["first", { size: 0 }, "size must be one or two integers"],
    ["first", { size: [8, 8] }, "the model takes images of 4x4 (NCHW), got 4x4"],
    ["first", { layout: "as-is", channels: "bgr" }, "channels and size need images"],
    [
      "first",
      { scale: 255, std: 0.25 },
      "to a range of width 0.1 to 300, got 1.02e+3 with scale 255",
    ],
  ])("%s %j", async (name, options, message) => {
    const run = async () => certify(await open(name, options), image, small);
    await expect(run()).rejects.toThrow(message);
  });
});

it("images with channels first are told so", async () => {
  const image = { data: x.slice(0, 48), shape: [3, 4, 4] };
  await expect(certify(await open("last"), image, { sigma: 0.25, n: 10 })).rejects.toThrow(
    "the model takes images [H, W, C] of [4,4,3], got [3,4,4] with the channels first; move them to the end",
  );
});

it("float16 is exact in both directions, rounds to even and keeps what is not finite", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const back = toFloat16(fromFloat16(all));
  for (const [i, bits] of back.entries())
    if (!((i & 0x7c00) === 0x7c00 && i & 0x3ff)) expect(bits).toBe(i);
  expect([
    ...toFloat16(
      Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, 2 ** -24 * 1.5),
    ),
  ]).toEqual([0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 2]);
  expect(fromFloat16(toFloat16(Float32Array.of(Number.NaN, -Infinity)))).toEqual(
    Float32Array.of(Number.NaN, -Infinity),
  );
});
