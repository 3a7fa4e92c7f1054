import { existsSync } from "node:fs";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { type Params, selectBackend, softmaxCrossEntropy, valueAndGradients } from "@dmae/nn";
import { normalize, resizeBicubic } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { createViT } from "./index.ts";
import { CIFAR10_NORMALIZATION, IMAGENET_NORMALIZATION } from "./parts.ts";

// Recorded by testing/reference/vit_classifier.py; command, versions and seed are in the metadata.
const fixture = readFixture(new URL("./__fixtures__/classifier.safetensors", import.meta.url));
const small = { width: 24, depth: 2, heads: 3, numClasses: 10 } as const;
const vits = {
  gp: createViT(small, { imageSize: 56, patchSize: 8, inputSize: 24, ...CIFAR10_NORMALIZATION }),
  cls: createViT(small, {
    imageSize: 56,
    patchSize: 8,
    inputSize: 24,
    globalPool: false,
    ...CIFAR10_NORMALIZATION,
  }),
};

type Fixture = ReturnType<typeof readFixture>;
const tensorOf = (name: string, from: Fixture = fixture) => {
  const { shape, data } = from.get(name);
  return tf.tensor(data as Float32Array, shape, "float32");
};
const namesOf = (prefix: string, from: Fixture = fixture) =>
  from.names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
const paramsOf = (prefix: string, from: Fixture = fixture): Params =>
  Object.fromEntries(namesOf(prefix, from).map((name) => [name, tensorOf(prefix + name, from)]));

/** |difference| <= 1e-4 of the tensor's maximum, the key third of qkv biases (zero in theory) aside. */
function expectGradient(name: string, actual: Float32Array, expected: ArrayLike<number>): void {
  const keep = (values: ArrayLike<number>) => {
    const third = values.length / 3;
    const all = Array.from(values);
    return name.endsWith("attn.qkv.bias") ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
  };
  const maximum = Math.max(...keep(expected).map(Math.abs));
  expectClose(keep(actual), keep(expected), { absolute: 1e-4 * maximum + 1e-7 });
}

describe.each(["cpu", "wasm"])("the official classifier on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  describe.each(["gp", "cls"] as const)("%s", (variant) => {
    test("parameter names, order of the official state dict and shapes", () => {
      tf.tidy(() => {
        const official = paramsOf(`${variant}.param.`);
        const ours = vits[variant].init({ high: 0, low: 1 });
        expect(Object.keys(ours).sort()).toEqual(Object.keys(official).sort());
        for (const [name, tensor] of Object.entries(ours))
          expect([name, ...tensor.shape]).toEqual([name, ...official[name]!.shape]);
      });
    });

    test("features and logits of small images", () => {
      tf.tidy(() => {
        const params = paramsOf(`${variant}.param.`);
        const x = tensorOf("x");
        const features = vits[variant].features(params, x);
        expectClose(features.dataSync(), fixture.get(`${variant}.features`).data, {
          absolute: 2e-5,
        });
        const logits = vits[variant].logits(params, x);
        expectClose(logits.dataSync(), fixture.get(`${variant}.logits`).data, { absolute: 2e-5 });
      });
    });

    test("loss and the gradient of every parameter", () => {
      tf.tidy(() => {
        const params = paramsOf(`${variant}.param.`);
        const { loss, gradients } = valueAndGradients((p) => {
          const logits = vits[variant].logits(p, tensorOf("x"));
          return { loss: tf.mean(softmaxCrossEntropy(logits, tensorOf("targets"))) };
        }, params);
        expectClose(loss.dataSync(), fixture.get(`${variant}.loss`).data, { relative: 1e-5 });
        const recorded = namesOf(`${variant}.grad.`);
        expect(recorded.sort()).toEqual(Object.keys(gradients).sort());
        for (const name of recorded)
          expectGradient(
            name,
            gradients[name]!.dataSync() as Float32Array,
            fixture.get(`${variant}.grad.${name}`).data,
          );
      });
    });
  });

  test("stochastic depth with given scales: logits and gradients", () => {
    tf.tidy(() => {
      const { aux, gradients } = valueAndGradients((p) => {
        const logits = vits.gp.logits(p, tensorOf("x"), { dropPath: tensorOf("dropPath") });
        const loss = tf.mean(softmaxCrossEntropy(logits, tensorOf("targets")));
        return { loss, aux: { logits } };
      }, paramsOf("gp.param."));
      expectClose(aux.logits!.dataSync(), fixture.get("gp.dropPath.logits").data, {
        absolute: 2e-5,
      });
      const recorded = namesOf("gp.dropPath.grad.");
      expect(recorded.length).toBe(5);
      for (const name of recorded)
        expectGradient(
          name,
          gradients[name]!.dataSync() as Float32Array,
          fixture.get(`gp.dropPath.grad.${name}`).data,
        );
    });
  });

  test("normalising before the resize is normalising after it", () => {
    tf.tidy(() => {
      const first = tf.slice(tensorOf("x"), 0, 1);
      expectClose(resizeBicubic(first, 56, 56).dataSync(), fixture.get("resized").data, {
        absolute: 1e-6,
      });
      const { mean, std } = CIFAR10_NORMALIZATION;
      const before = resizeBicubic(normalize(first, mean, std), 56, 56).dataSync();
      const after = normalize(resizeBicubic(first, 56, 56), mean, std).dataSync();
      expectClose(before, after, { absolute: 4e-6 });
    });
  });
});

// The reference set's own runs use ImageNet images, which may not be published: checked where present.
const reference = new URL("../../../../shared/reference/", import.meta.url);

describe.skipIf(!existsSync(reference))("the recorded 224x224 runs of the official code", () => {
  beforeAll(() => selectBackend("wasm"));

  const images = (from: Fixture, name: string) => {
    const scaled = tf.div(tensorOf(name, from), 255);
    return tf.transpose(scaled, [0, 2, 3, 1]);
  };

  test.each([
    ["gp", true, 32, CIFAR10_NORMALIZATION],
    ["cls", false, 24, IMAGENET_NORMALIZATION],
  ] as const)("%s", (variant, globalPool, inputSize, normalization) => {
    const read = (path: string) => readFixture(new URL(path, reference));
    const io = read(`finetune/${variant}/io.safetensors`);
    const options = { ...small, globalPool, ...normalization };
    tf.tidy(() => {
      const params = paramsOf("", read(`finetune/${variant}/checkpoint-0.safetensors`));
      const large = images(read("pretrain/forward_224.safetensors"), "images_u8");
      const vit = createViT(options);
      const close = (tensor: tf.Tensor, name: string, absolute: number) =>
        expectClose(tensor.dataSync(), io.get(name).data, { absolute });
      close(vit.features(params, large), "features_224", 2e-5);
      close(vit.logits(params, large), "logits_224", 2e-5);
      const upsampling = createViT(options, { inputSize });
      const x = images(io, "eval_small_u8");
      close(upsampling.features(params, x), "features_small", 1e-4);
      close(upsampling.logits(params, x), "logits_small", 1e-4);
    });
  });
});
