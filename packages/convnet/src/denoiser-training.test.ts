import "@tensorflow/tfjs-backend-cpu";
import { selectBackend, valueAndGradients } from "@dmae/nn";
import { conv2d, linear } from "@dmae/nn/layers";
import { adam, type Optimizer, sgd } from "@dmae/train";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import {
  createDnCNN,
  denoisedStabilityLoss,
  denoisingLoss,
  diffusionLoss,
  diffusionSchedule,
  diffusionSteps,
  oneShotDenoise,
} from "./denoising.ts";

// Runs of the official code; testing/reference/denoising.py says which.
const fixture = readFixture(new URL("./__fixtures__/denoising.safetensors", import.meta.url));
const isWeight = (name: string) => /weight|bias|vec|running/.test(name);
/** Images as `[B, H, W, C]`, parameters as they are. */
const read = (name: string): tf.Tensor => {
  const { shape, data } = fixture.get(name);
  const tensor = tf.tensor(data as Float32Array, shape, "float32");
  return shape.length === 4 && !isWeight(name) ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor;
};
const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));

beforeAll(() => selectBackend("cpu"));

interface Notes {
  config: { opt: "Adam" | "SGD"; lr: number; sigma: number };
  losses: number[];
  tolerance: Record<string, [size: number, difference: number]>;
}

describe.each(["mse-sgd", "stability-adam"])("three steps of train_denoiser.py, %s", (name) => {
  const { config, losses, tolerance }: Notes = JSON.parse(fixture.metadata[`case ${name}`]!);
  const own = (field: string) => read(`${name}/${field}`);
  const classify = (x: tf.Tensor) => {
    const bias = own("clf.conv.bias");
    const hidden = tf.relu(conv2d(x, own("clf.conv.weight"), { bias, stride: 2 }));
    const flat = tf.reshape(tf.transpose(hidden, [0, 3, 1, 2]), [x.shape[0]!, -1]);
    return linear(flat, own("clf.fc.weight"), own("clf.fc.bias"));
  };
  const decay = { weightDecay: 1e-4 };
  const optimizer: Optimizer =
    config.opt === "Adam" ? adam(decay) : sgd({ ...decay, momentum: 0.9 });

  test("losses, gradients, parameters and running statistics, and the denoiser that they make", () => {
    tf.tidy(() => {
      const denoiser = createDnCNN({ channels: 1, width: 6, depth: 5 });
      const all = Object.fromEntries(
        Object.keys(denoiser.shapes).map((n) => [n, own(`init.${n}`)]),
      );
      const isTrained = (n: string) => !denoiser.buffers.includes(n);
      const trained = () => Object.fromEntries(Object.entries(all).filter(([n]) => isTrained(n)));
      let state = Object.fromEntries(
        Object.entries(
          optimizer.init(
            Object.fromEntries(
              Object.entries(trained()).map(([n, t]) => [
                n,
                { dtype: "float32" as const, shape: t.shape, data: new Float32Array(t.size) },
              ]),
            ),
          ),
        ).map(([n, t]) => [n, tf.tensor(t.data as Float32Array, [...t.shape])]),
      );
      losses.forEach((expected, step) => {
        const images = own(`batch${step}.x`);
        const noisy = tf.add(images, tf.mul(own(`draw${step}`), config.sigma));
        const { loss, aux, gradients } = valueAndGradients((params) => {
          const output = denoiser.denoise({ ...all, ...params }, noisy, { training: true });
          const { loss, updates = {} } = name.startsWith("mse")
            ? denoisingLoss(output, images)
            : denoisedStabilityLoss(output, images, classify);
          return { loss, aux: updates };
        }, trained());
        expectClose(loss.dataSync(), [expected], { relative: 3e-6 });
        if (step === 0)
          for (const [n, gradient] of Object.entries(gradients)) {
            const { data } = fixture.get(`${name}/step0.grad.${n}`);
            expectClose(gradient.dataSync(), data, { absolute: 1e-5 * largest(data) });
          }
        const scalars = Object.fromEntries(
          Object.entries(optimizer.scalars(step, config.lr)).map(([n, v]) => [n, tf.scalar(v)]),
        );
        const next = optimizer.update(gradients, state, trained(), scalars);
        state = next.state;
        Object.assign(all, next.params, aux);
      });
      for (const n of Object.keys(all)) {
        const field = `step2.${isTrained(n) ? "after" : "buffer"}.${n}`;
        const { data } = fixture.get(`${name}/${field}`);
        const [size, difference] = tolerance[field] ?? [largest(data), 0];
        const absolute = Math.max(8 * difference, 3e-6 * size);
        expectClose(all[n]!.dataSync(), data, { absolute });
      }
      const noisy = tf.add(own("batch0.x"), tf.mul(own("draw0"), config.sigma));
      const denoised = denoiser.denoise(all, noisy).denoised.dataSync();
      const expected = own("eval.denoised").dataSync();
      expectClose(denoised, expected, { absolute: 2e-5 * largest(expected) });
    });
  });
});

describe("diffusion", () => {
  const own = (field: string) => read(`diffusion/${field}`);
  const schedule = diffusionSchedule("cosine");
  const stub = (params: Record<string, tf.Tensor>, x: tf.Tensor, time: tf.Tensor) =>
    tf.add(
      conv2d(x, params["conv.weight"]!, { bias: params["conv.bias"]!, padding: 1 }),
      tf.mul(tf.reshape(tf.div(time, 1000), [-1, 1, 1, 1]), params.vec!),
    );

  test("one-shot denoising", () => {
    tf.tidy(() => {
      const names = ["conv.weight", "conv.bias", "vec"];
      const params = Object.fromEntries(names.map((n) => [n, own(`stub.${n}`)]));
      const predict = (x: tf.Tensor, time: number) => stub(params, x, tf.fill([x.shape[0]!], time));
      const options = { schedule, sigma: 0.5, predict };
      const y = oneShotDenoise(own("x"), own("sigma0.5.draw0"), options);
      expectClose(y.dataSync(), own("sigma0.5.pred_xstart").dataSync(), { absolute: 5e-6 });
    });
  });

  test("the loss of a training step on the noise alone, and its gradients", () => {
    tf.tidy(() => {
      const names = ["conv.weight", "conv.bias", "vec"];
      const params = Object.fromEntries(names.map((n) => [n, own(`train.plain.init.${n}`)]));
      const steps = fixture.get("diffusion/train.plain.t").data;
      const draws = Object.fromEntries(
        Object.entries(diffusionSteps(schedule, steps)).map(([n, { data }]) => [
          n,
          tf.tensor1d(data as Float32Array),
        ]),
      );
      const images = tf.div(tf.add(own("train.plain.x"), 1), 2); // the official code takes [-1, 1]
      const { loss, gradients } = valueAndGradients((p) => {
        const predict = (x: tf.Tensor, time: tf.Tensor) => stub(p, x, time);
        const noise = own("train.plain.noise");
        return { loss: diffusionLoss(predict, images, { noise, ...draws } as never), aux: {} };
      }, params);
      const expected = Array.from(fixture.get("diffusion/train.plain.loss").data);
      const mean = expected.reduce((a, b) => a + b, 0) / expected.length;
      expectClose(loss.dataSync(), [mean], { relative: 3e-6 });
      for (const n of names) {
        const { data } = fixture.get(`diffusion/train.plain.grad.${n}`);
        expectClose(gradients[n]!.dataSync(), data, { absolute: 2e-5 * largest(data) });
      }
    });
  });

  test("steps outside the schedule are refused", () => {
    expect(() => diffusionSteps(schedule, [0, 4000])).toThrow("from 0 to 3999, got 4000");
    expect(() => diffusionSteps(schedule, [0.5])).toThrow("got 0.5");
  });
});
