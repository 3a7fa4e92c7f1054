import { describe, expect, it } from "vitest";
import { certify } from "../procedures/certify.ts";
import { fromTransformers } from "./from-transformers.ts";

/** A tensor as Transformers.js has it. */
class Tensor {
  constructor(
    readonly type: string,
    readonly data: Float32Array,
    readonly dims: readonly number[],
  ) {}
}

interface Raw {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  rgb(): Raw;
  resize(width: number, height: number): Promise<Raw>;
  center_crop(width: number, height: number): Promise<Raw>;
}

const mean = [0.5, 0.25, 0.125];
const std = [0.25, 0.5, 0.5];
const base = { do_rescale: true, rescale_factor: 1 / 255, image_mean: mean, image_std: std };

/** An image processor of Transformers.js: resizes, crops, rescales, normalises, flips, turns axes. */
function makeProcessor(given: object, resize: (raw: Raw) => Promise<Raw>) {
  const settings = { ...base, do_normalize: true, do_flip_channel_order: false, ...given };
  const { rescale_factor, do_rescale, do_normalize, do_flip_channel_order } = settings;
  const process = async (image: unknown) => {
    const { data, width, height } = await resize((image as Raw).rgb());
    const values = new Float32Array(data.length);
    for (let i = 0; i < width * height; i++)
      for (let c = 0; c < 3; c++) {
        const value = data[3 * i + c]! * (do_rescale ? rescale_factor : 1);
        const normal = do_normalize ? (value - mean[c]!) / std[c]! : value;
        values[(do_flip_channel_order ? 2 - c : c) * width * height + i] = normal;
      }
    return { pixel_values: new Tensor("float32", values, [1, 3, height, width]) };
  };
  return Object.assign(process, settings);
}

const square = (raw: Raw) => raw.resize(4, 4);
/** Hands out what it was given, as logits of one class for each number. */
function makeModel(labels = 3) {
  const given: unknown[] = [];
  const id2label = Object.fromEntries(Array.from({ length: labels }, (_, i) => [i, `class ${i}`]));
  const model = async ({ pixel_values: x }: { pixel_values: Tensor }) => {
    given.push(x);
    const area = x.dims[2]! * x.dims[3]!;
    const rows = x.dims[0]!;
    const logits = new Float32Array(3 * rows);
    for (let i = 0; i < 3 * rows; i++)
      for (let p = 0; p < area; p++) logits[i]! += x.data[i * area + p]! / area;
    return { logits: new Tensor("float32", logits, [rows, 3]) };
  };
  return { given, model: Object.assign(model, { config: { id2label, _name_or_path: "tiny" } }) };
}
const grey = { data: new Float32Array(48).fill(0.5), shape: [4, 4, 3] };

describe("fromTransformers", () => {
  it.each([
    ["normalised", {}, mean.map((m, c) => (0.5 - m) / std[c]!)],
    ["to -1 … 1", { rescale_factor: 1 / 127.5 }, mean.map((m, c) => (1 - m) / std[c]!)],
    ["bytes", { do_rescale: false, do_normalize: false }, [127.5, 127.5, 127.5]],
    ["not normalised", { do_normalize: false }, [0.5, 0.5, 0.5]],
    [
      "blue first",
      { do_flip_channel_order: true },
      [(0.5 - 0.125) / 0.5, (0.5 - 0.25) / 0.5, (0.5 - 0.5) / 0.25],
    ],
  ])("gives the model the pixels that its processor would: %s", async (_, settings, expected) => {
    const { model, given } = makeModel();
    const classifier = await fromTransformers(model, makeProcessor(settings, square));
    const logits = (await classifier.predict(grey.data, [1, 4, 4, 3])) as { data: Float32Array };
    expect(given[0]).toBeInstanceOf(Tensor);
    expect((given[0] as Tensor).dims).toEqual([1, 3, 4, 4]);
    for (const [c, value] of expected.entries()) expect(logits.data[c]).toBeCloseTo(value, 5);
  });

  it("is certified, of a processor with parts too, and knows its classes and its name", async () => {
    const { model } = makeModel();
    const parts = Object.assign(async (image: unknown) => image_processor(image), {});
    const image_processor = makeProcessor({}, square);
    const classifier = await fromTransformers(model, Object.assign(parts, { image_processor }));
    expect(classifier).toMatchObject({ numClasses: 3, name: "tiny" });
    const { prediction, radius } = await certify(classifier, grey, {
      sigma: 0.25,
      n: 200,
      seed: 1,
    });
    expect(prediction).toBe(2); // (0.5 - 0.125) / 0.5 is the largest
    expect(radius).toBeGreaterThan(0.2);
    expect(radius).toBeLessThan(0.25 / Math.hypot(0.5, 0.5)); // the distance to the plane where two logits meet
  });

  it.each([
    ["a fixed size", (raw: Raw) => raw.resize(6, 4), { size: [4, 6], channels: 3 }],
    ["a square", square, { size: [4, 4], channels: 3 }],
    [
      "shorter side, then a crop",
      async (raw: Raw) =>
        (await raw.resize(Math.floor((raw.width * 8) / raw.height), 8)).center_crop(6, 6),
      { size: 8, crop: 6, channels: 3 },
    ],
  ])("says how its processor reads images: %s", async (_, resize, expected) => {
    const { model } = makeModel();
    const { imageOptions } = await fromTransformers(model, makeProcessor({}, resize));
    expect(imageOptions).toEqual(expected);
  });

  it("takes a processor that is settings alone, and options that differ from it", async () => {
    const { model, given } = makeModel();
    const settings = { image_processor: { ...base, do_normalize: true } };
    const classifier = await fromTransformers(model, settings, { size: 2 });
    await classifier.predict(grey.data, [1, 4, 4, 3]);
    const { type, dims } = given[0] as Tensor;
    expect({ type, dims }).toEqual({ type: "float32", dims: [1, 3, 2, 2] });
  });

  it("says what it cannot follow", async () => {
    const { model } = makeModel();
    const processor = makeProcessor({}, square);
    const strange = Object.assign(async (image: unknown) => processor(image), base);
    const wrong = fromTransformers(model, Object.assign(strange, { do_normalize: false }));
    await expect(wrong).rejects.toThrow(
      "must make 1 of 255 in channel 0, as its settings say, got 2",
    );
    const broken = Object.assign(async () => Promise.reject(new Error("no thumbnail")), base);
    await expect(fromTransformers(model, broken)).rejects.toThrow(
      "does more to an image than to resize, crop, rescale and normalise it: no thumbnail",
    );
    await expect(fromTransformers({} as never, processor)).rejects.toThrow("model must be a model");
    await expect(fromTransformers(model, null as never)).rejects.toThrow("processor must be an");
    const classifier = await fromTransformers(model, processor);
    const large = { data: new Float32Array(75), shape: [5, 5, 3] };
    await expect(certify(classifier, large, { sigma: 0.25, n: 10 })).rejects.toThrow(
      "the model takes images of 4x4 (NCHW), got 5x5; set size: 4",
    );
  });
});
