import { describe, expect, it } from "vitest";
import { halves, steps } from "../__fixtures__/steps.ts";
import { certify } from "../procedures/certify.ts";
import { certifyAdaptive } from "../procedures/certify-adaptive.ts";
import { certifyAtRadius } from "../procedures/certify-at-radius.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { predict } from "../procedures/predict.ts";
import { certifySoft } from "../procedures/soft-votes.ts";
import { denoised, ensemble } from "./combine.ts";
import { fromOnnx } from "./from-onnx.ts";

const advice =
  "; sigma is in the units of the images, so scale the images to [0, 1], or declare their range, e.g. range: [0, 255]";
const shared = { sigma: 0.25, numClasses: 2 };
const options = { ...shared, n0: 10, n: 50 };
const logits = (batch: Float32Array, [n = 0]: number[]) =>
  Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? batch[i >> 1]! : 0.5));
const image = { data: new Float32Array(48).fill(0.5), shape: [4, 4, 3] };
const onnx = (mean: number[], std: number[]) =>
  fromOnnx(new URL("../__fixtures__/small.onnx", import.meta.url), { mean, std });
const colours = { sigma: 0.25, n0: 10, n: 50 };

const procedures: Record<string, (pixel: number, more: object) => Promise<unknown>> = {
  certify: (pixel, more) => certify(halves, [pixel], { ...options, ...more }),
  predict: (pixel, more) => predict(halves, [pixel], { ...shared, n: 50, ...more }),
  certifySoft: (pixel, more) => certifySoft(logits, [pixel], { ...options, ...more }),
  certifyAdaptive: (pixel, more) => certifyAdaptive(halves, [pixel], { ...shared, ...more }),
  certifyAtRadius: (pixel, more) =>
    certifyAtRadius(halves, [pixel], { ...shared, n0: 10, radius: 0.1, ...more }),
  async certifyDataset(pixel, more) {
    const data = { ...steps(1), get: () => ({ image: Float32Array.of(pixel), label: 0 }) };
    for await (const row of certifyDataset(halves, data, { ...options, ...more })) return row;
  },
};

describe.each(Object.entries(procedures))("%s", (_, run) => {
  it("takes images in [0, 1] unless another range is declared, and says how", async () => {
    for (const pixel of [200, -0.5])
      await expect(run(pixel, {})).rejects.toThrow(
        `x must lie in [0, 1], got ${pixel} at element 0${advice}`,
      );
    await run(1, {});
    await run(200, { range: [0, 255] });
    await run(-0.5, { range: [-1, 1] });
    await expect(run(-0.5, { range: [0, 255] })).rejects.toThrow(`x must lie in [0, 255]`);
    await expect(run(0.5, { range: [1, 0] })).rejects.toThrow(
      "range must be [low, high] with finite numbers low < high, got [1,0]",
    );
  });
});

describe("preprocessing", () => {
  const bytes = [
    [123.675, 116.28, 103.53],
    [58.395, 57.12, 57.375],
  ] as const;
  const unit = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ] as const;
  const open = ([mean, std]: readonly (readonly number[])[]) => onnx([...mean!], [...std!]);

  it("must be written for the declared range", async () => {
    await certify(await open(unit), image, colours);
    await certify(await open(bytes), image, { ...colours, range: [0, 255] });
    const wrong = await open(bytes);
    for (const classifier of [wrong, ensemble([wrong]), denoised((batch) => batch, wrong)])
      await expect(certify(classifier, image, colours)).rejects.toThrow(
        "certify: mean must lie in [0, 1], the range of the images times scale, got 123.675; mean and std apply after scale, so set scale (now 1)",
      );
    await expect(certify(await open(unit), image, { ...colours, range: [0, 255] })).rejects.toThrow(
      "scale and std must bring images in [0, 255] to a range of width 0.1 to 300, got 1.11e+3 with scale 1 and std 0.229",
    );
    const colour = { ...steps(1), imageShape: [4, 4, 3] as never, numClasses: 3 };
    const data = { ...colour, get: () => ({ image: image.data, label: 0 }) };
    await expect(certifyDataset(wrong, data, colours).next()).rejects.toThrow(
      "certifyDataset: mean must lie",
    );
  });

  it("may bring [0, 1] to [-1, 1] or to bytes", async () => {
    await certify(await onnx([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), image, colours);
    await certify(await onnx([0, 0, 0], [1 / 255, 1 / 255, 1 / 255]), image, colours);
  });
});
