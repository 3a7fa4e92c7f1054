import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import {
  type Params,
  selectBackend,
  softmaxCrossEntropy,
  type Tensors,
  valueAndGradients,
} from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { createDnCNN } from "./denoising.ts";
import { createConvNet } from "./index.ts";

// Recorded by testing/reference/convnet.py; command, versions and seed are in the metadata.
const fixture = readFixture(new URL("./__fixtures__/convnet.safetensors", import.meta.url));

type Pass = { output: tf.Tensor; updates?: Tensors };
interface Network {
  shapes: Readonly<Record<string, readonly number[]>>;
  buffers: readonly string[];
  /** Of its images, `[B, C, H, W]`. */
  shape: readonly number[];
  run(params: Params, x: tf.Tensor, training: boolean): Pass;
}

function classifier(shape: readonly number[], ...args: Parameters<typeof createConvNet>): Network {
  const { shapes, buffers, apply } = createConvNet(...args);
  const run: Network["run"] = (params, x, training) => {
    const { logits, ...rest } = apply(params, x, { training });
    return { output: logits, ...rest };
  };
  return { shapes, buffers, shape, run };
}

function denoiser(shape: readonly number[], ...args: Parameters<typeof createDnCNN>): Network {
  const { shapes, buffers, denoise } = createDnCNN(...args);
  const run: Network["run"] = (params, x, training) => {
    const { denoised, ...rest } = denoise(params, x, { training });
    return { output: denoised, ...rest };
  };
  return { shapes, buffers, shape, run };
}

const networks: Record<string, Network> = {
  lenet: classifier([3, 1, 28, 28], "lenet"),
  cifar_resnet20: classifier([2, 3, 32, 32], "cifar_resnet20"),
  cifar_small: classifier([3, 3, 32, 32], "cifar_resnet20", { width: 4, blocks: [2, 1, 1] }),
  resnet50: classifier([4, 3, 70, 70], "resnet50", {
    width: 4,
    blocks: [2, 1, 1, 1],
    inputSize: 70,
    numClasses: 7,
  }),
  dncnn: denoiser([2, 3, 9, 9], { depth: 4, width: 6 }),
};

/** The script's `values`: parameters and images by a formula, not stored. */
function generated(name: string, shape: readonly number[]): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  const offset = [...name].reduce((sum, c) => sum + c.codePointAt(0)!, 0) * 40503;
  const scale = Math.sqrt(24 / (size / shape[0]!));
  const value = (i: number) => {
    let h = i + offset;
    for (const [multiplier, shift] of hash) {
      h = Math.imul(h, multiplier);
      h ^= h >>> shift;
    }
    const u = (h >>> 0) / 2 ** 32;
    if (name === "images" || name === "target") return u;
    if (name.endsWith("running_var")) return 0.5 + u;
    if (shape.length === 1) return name.endsWith("weight") ? 0.75 + 0.5 * u : 0.4 * (u - 0.5);
    return (u - 0.5) * scale;
  };
  return Float32Array.from({ length: size }, (_, i) => value(i));
}

const hash = [
  [2654435761, 15],
  [2246822507, 13],
  [3266489909, 16],
] as const;

const paramsOf = ({ shapes }: Network): Params =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      tf.tensor(generated(name, shape), [...shape]),
    ]),
  );

/** Values in the shape of images, from PyTorch's order. */
function images(name: string, network: string): tf.Tensor {
  const { shape } = networks[network]!;
  return tf.transpose(tf.tensor(generated(name, shape), [...shape]), [0, 2, 3, 1]);
}

const inPytorchOrder = (x: tf.Tensor) =>
  (x.rank === 4 ? tf.transpose(x, [0, 3, 1, 2]) : x).dataSync();

const sampled = (values: ArrayLike<number>) => {
  const step = Math.ceil(values.length / 120);
  return Array.from(values).filter((_, i) => i % step === 0);
};

const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));

/** Within `tolerance` of the largest value. */
function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expectClose(actual, expected, { absolute: tolerance * largest(expected) });
}

const names = Object.keys(networks);

describe.each([
  ["cpu", names.filter((name) => name !== "cifar_resnet20")], // which takes it a minute
  ["wasm", names],
] as const)("the official networks on %s", (backend, names) => {
  beforeAll(() => selectBackend(backend));

  test.each(names)("%s: names and running statistics", (name) => {
    const network = networks[name]!;
    const recorded = (kind: string) =>
      fixture.names.flatMap((entry) => entry.split(`${name}.${kind}.`)[1] ?? []);
    const buffers = recorded("buffer");
    expect([...network.buffers].sort()).toEqual(buffers.sort());
    const parameters = recorded("grad").filter((own) => own !== "images");
    expect(Object.keys(network.shapes).sort()).toEqual([...parameters, ...buffers].sort());
  });

  test.each(names)("%s: output with the running statistics", (name) => {
    const network = networks[name]!;
    tf.tidy(() => {
      const { output, updates } = network.run(paramsOf(network), images("images", name), false);
      expect(updates).toBeUndefined();
      expectNear(inPytorchOrder(output), fixture.get(`${name}.eval`).data, 3e-6);
    });
  });

  test.each(names)("%s: a training pass, its gradients and running statistics", (name) => {
    const network = networks[name]!;
    tf.tidy(() => {
      const all = paramsOf(network);
      const isTrained = (own: string) => !network.buffers.includes(own);
      const pick = (keep: (own: string) => boolean) =>
        Object.fromEntries(Object.entries(all).filter(([own]) => keep(own)));
      const { loss, aux, gradients } = valueAndGradients(
        ({ x, ...params }) => {
          const pass = network.run({ ...pick((n) => !isTrained(n)), ...params }, x!, true);
          return {
            loss: lossOf(name, pass.output),
            aux: { ...pass.updates, output: pass.output },
          };
        },
        { ...pick(isTrained), x: images("images", name) },
      );
      expectClose(loss.dataSync(), fixture.get(`${name}.loss`).data, { relative: 3e-6 });
      expectNear(inPytorchOrder(aux.output!), fixture.get(`${name}.train`).data, 1e-5);
      for (const [own, gradient] of Object.entries(gradients)) {
        const values = own === "x" ? inPytorchOrder(gradient) : gradient.dataSync();
        const expected = fixture.get(`${name}.grad.${own === "x" ? "images" : own}`).data;
        expectNear(sampled(values), expected, 6e-5);
      }
      for (const own of network.buffers)
        expectNear(aux[own]!.dataSync(), fixture.get(`${name}.buffer.${own}`).data, 1e-5);
      expect(Object.keys(aux).sort()).toEqual(["output", ...network.buffers].sort());
    });
  });
});

function lossOf(name: string, output: tf.Tensor): tf.Tensor {
  if (name === "dncnn") return tf.mean(tf.square(tf.sub(output, images("target", name))));
  const [rows, classes] = output.shape as [number, number];
  const labels = Array.from({ length: rows }, (_, i) => (3 * i) % classes);
  return tf.mean(softmaxCrossEntropy(output, tf.oneHot(labels, classes)));
}
