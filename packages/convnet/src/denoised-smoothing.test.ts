import { existsSync, readdirSync } from "node:fs";
import "@tensorflow/tfjs-backend-cpu";
import { selectBackend, valueAndGradients } from "@dmae/nn";
import { conv2d, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import {
  createDnCNN,
  denoisedStabilityLoss,
  denoisingLoss,
  diffusionSchedule,
  diffusionStep,
  oneShotDenoise,
} from "./denoising.ts";

beforeAll(() => selectBackend("cpu"));

test("losses by hand", () => {
  tf.tidy(() => {
    const images = tf.tensor4d([0, 1], [1, 1, 2, 1]);
    const denoised = tf.tensor4d([0.5, 0], [1, 1, 2, 1]);
    expect(denoisingLoss({ denoised }, images).loss.dataSync()[0]).toBeCloseTo(0.625, 6);
    // Scores are the pixels: the clean class is 1, whose share of e^0.5 + e^0 is e^0.
    const classify = (x: tf.Tensor) => tf.reshape(x, [1, 2]);
    const { loss } = denoisedStabilityLoss({ denoised }, images, classify);
    expect(loss.dataSync()[0]).toBeCloseTo(Math.log(Math.exp(0.5) + 1), 6);
    expect(() => denoisingLoss({ denoised }, tf.zeros([1, 2, 1, 1]))).toThrow(/\[1,1,2,1\], got/);
  });
});

describe("the step of one-shot denoising", () => {
  // Of the official code (ethz-spylab/diffusion_denoised_smoothing 699e7a5, certify.py) with its two schedules.
  test.each([
    [0.12, 573, 0.12011566263387528],
    [0.25, 1158, 0.2501185979705594],
    [0.5, 1984, 0.5003120237180521],
    [0.75, 2490, 0.7501152769429323],
    [1, 2809, 1.0000141841828825],
  ])("cosine, sigma %d: step %d", (sigma, step, effective) => {
    const schedule = diffusionSchedule("cosine");
    expect(diffusionStep(schedule, sigma)).toBe(step);
    const left = schedule.alphaBars[step]!;
    expect(Math.sqrt((1 - left) / left) / 2).toBeCloseTo(effective, 12);
    expect(schedule.timeScale).toBe(0.25);
  });

  test("is refused beyond the schedule, and schedules by name and length", () => {
    expect(() => diffusionStep(diffusionSchedule("linear", 21), 1e8)).toThrow(
      /last step, got 100000000/,
    );
    expect(() => diffusionStep(diffusionSchedule("linear"), 0)).toThrow(/positive, got 0/);
    expect(() => diffusionSchedule("linear", 0)).toThrow(
      /positive integer of at most 1,000,000, got 0/,
    );
    expect(() => diffusionSchedule("linear", 20)).toThrow(
      'diffusionSchedule: "linear" needs 21 steps or more, so that its last beta, 20 / steps, is below 1, got 20',
    );
    for (const schedule of [diffusionSchedule("linear", 21), diffusionSchedule("cosine", 1)])
      expect(Math.min(...schedule.alphaBars)).toBeGreaterThan(0);
    // @ts-expect-error another name
    expect(() => diffusionSchedule("sqrt")).toThrow(/"cosine" or "linear", got sqrt/);
  });
});

test("a predictor that knows the noise gives the image back, clipped", () => {
  tf.tidy(() => {
    const x = tf.tensor4d([0, 0.25, 0.9, 1.5], [1, 2, 2, 1]);
    const noise = tf.tensor4d([1, -2, 0.5, 0], [1, 2, 2, 1]);
    const options = { schedule: diffusionSchedule("linear"), sigma: 0.5, predict: () => noise };
    const y = oneShotDenoise(x, noise, options).dataSync();
    expectClose(y, [-1, -0.5, 0.8, 1], { absolute: 2e-6 });
  });
});

// The official runs, where they are: their files are too large to be committed.
const reference = new URL("../../../../shared/reference/methods/", import.meta.url);

describe.skipIf(!existsSync(reference))("the recorded runs of the official code", () => {
  const read = (path: string) => readFixture(new URL(path, reference));
  type Fixture = ReturnType<typeof read>;
  const tensorOf = (from: Fixture, name: string) => {
    const { shape, data } = from.get(name);
    const tensor = tf.tensor(data as Float32Array, shape);
    const isImage = shape.length === 4 && !name.endsWith("weight");
    return isImage ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor;
  };

  test.each(["cifar10", "imagenet"])("diffusion/%s", (which) => {
    const run = read(`diffusion/case-${which}.safetensors`);
    const schedule = diffusionSchedule(which === "cifar10" ? "cosine" : "linear");
    for (const sigma of [0.25, 0.5, 1])
      tf.tidy(() => {
        const [weight, bias, vec] = ["stub.conv.weight", "stub.conv.bias", "stub.vec"].map((n) =>
          tensorOf(run, n),
        );
        const predict = (x: tf.Tensor, time: number) =>
          tf.add(conv2d(x, weight!, { bias, padding: 1 }), tf.mul(vec!, time / 1000));
        const name = `sigma${sigma === 1 ? "1.0" : sigma}`;
        const noise = tensorOf(run, `${name}.draw0`);
        const y = oneShotDenoise(tensorOf(run, "x"), noise, { schedule, sigma, predict });
        const expected = tensorOf(run, `${name}.pred_xstart`).dataSync();
        expectClose(y.dataSync(), expected, { absolute: 5e-6 });
      });
  });

  const cases = existsSync(reference)
    ? readdirSync(new URL("denoised/", reference)).filter(
        (file) => /^case-(mse|stab).*[a-z]\.safetensors$/.test(file) && !file.includes(".f64."),
      )
    : [];
  test.each(cases)(
    "denoised/%s: loss, gradients and running statistics of the first step",
    (file) => {
      const run = read(`denoised/${file}`);
      tf.tidy(() => {
        const names = run.names.filter(
          (n) => n.startsWith("init.dncnn.") && !n.endsWith("tracked"),
        );
        const all = Object.fromEntries(names.map((n) => [n.slice(5), tensorOf(run, n)]));
        const first = all["dncnn.0.weight"]!.shape as number[];
        const last = Math.max(...Object.keys(all).map((n) => Number(n.split(".")[1])));
        const denoiser = createDnCNN({
          channels: first[1]!,
          width: first[0]!,
          depth: (last + 1) / 3 + 1,
        });
        expect(Object.keys(denoiser.shapes).sort()).toEqual(Object.keys(all).sort());
        const images = tensorOf(run, "batch0.x");
        const noisy = tf.add(images, tf.mul(tensorOf(run, "draw0"), 0.25));
        const trained = Object.entries(all).filter(([n]) => !denoiser.buffers.includes(n));
        const classify = (x: tf.Tensor) => {
          const hidden = tf.relu(
            conv2d(x, tensorOf(run, "clf.conv.weight"), {
              bias: tensorOf(run, "clf.conv.bias"),
              stride: 2,
            }),
          );
          const flat = tf.reshape(tf.transpose(hidden, [0, 3, 1, 2]), [x.shape[0]!, -1]);
          return linear(flat, tensorOf(run, "clf.fc.weight"), tensorOf(run, "clf.fc.bias"));
        };
        const { loss, aux, gradients } = valueAndGradients((params) => {
          const output = denoiser.denoise({ ...all, ...params }, noisy, { training: true });
          const { loss, updates = {} } = file.includes("mse")
            ? denoisingLoss(output, images)
            : denoisedStabilityLoss(output, images, classify);
          return { loss, aux: updates };
        }, Object.fromEntries(trained));
        expectClose(loss.dataSync(), run.get("step0.loss").data, { relative: 1e-5 });
        for (const [name, gradient] of Object.entries(gradients)) {
          const { data } = run.get(`step0.grad.${name}`);
          const largest = Math.max(...Array.from(data, Math.abs));
          expectClose(gradient.dataSync(), data, { absolute: 1e-5 * largest });
        }
        for (const name of denoiser.buffers)
          expectClose(aux[name]!.dataSync(), run.get(`step0.buffer.${name}`).data, {
            absolute: 1e-6,
            relative: 1e-5,
          });
      });
    },
  );
});
