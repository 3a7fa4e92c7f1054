import "@tensorflow/tfjs-backend-cpu";
import { type HostTensor, key } from "@dmae/core";
import { disposeTensors, selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { createDnCNN } from "./denoising.ts";
import { type ConvNetSource, createConvNet, loadConvNet } from "./index.ts";

beforeAll(() => selectBackend("cpu"));

const count = (shapes: Readonly<Record<string, readonly number[]>>, buffers: readonly string[]) =>
  Object.entries(shapes)
    .filter(([name]) => !buffers.includes(name))
    .reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);

const moments = (tensor: HostTensor) => {
  const data = Array.from(tensor.data);
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  const square = data.reduce((a, b) => a + b * b, 0) / data.length;
  const largest = data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return { mean, std: Math.sqrt(square - mean * mean), largest };
};

describe("the networks of the tables", () => {
  // Sums of PyTorch's `parameters()`: LeNet, locuslab's CIFAR ResNets, torchvision's ResNet-50.
  test.each([
    ["lenet", 431080],
    ["cifar_resnet20", 272474],
    ["cifar_resnet110", 1730714],
    ["resnet50", 25557032],
  ] as const)("%s has %d parameters", (name, parameters) => {
    const { shapes, buffers } = createConvNet(name);
    expect(count(shapes, buffers)).toBe(parameters);
  });

  test("the official DnCNN has 558,400 parameters, with the last convolution at 47", () => {
    const { shapes, buffers } = createDnCNN();
    expect(count(shapes, buffers)).toBe(558400);
    expect(Object.keys(shapes).slice(0, 3)).toEqual([
      "dncnn.0.weight",
      "dncnn.0.bias",
      "dncnn.2.weight",
    ]);
    expect(Object.keys(shapes).at(-1)).toBe("dncnn.47.weight");
    expect(buffers.length).toBe(30);
  });
});

describe("initial parameters", () => {
  test("LeNet: uniform within 1 / sqrt(fan-in), biases too", () => {
    const params = createConvNet("lenet").initHost(key(1));
    const { mean, std, largest } = moments(params["fc1.weight"]!);
    const limit = 1 / Math.sqrt(800);
    expect(Math.abs(mean)).toBeLessThan((5 * limit) / Math.sqrt(3 * 400000));
    expect(std / limit).toBeCloseTo(1 / Math.sqrt(3), 2);
    expect(largest).toBeLessThan(limit);
    expect(largest).toBeGreaterThan(0.999 * limit);
    expect(moments(params["conv2.bias"]!).largest).toBeLessThan(1 / Math.sqrt(500));
    expect(moments(params["conv2.bias"]!).largest).toBeGreaterThan(0.8 / Math.sqrt(500));
  });

  test("ResNets: normal with variance 2 / (kh kw out); gains 1, running variance 1", () => {
    const params = createConvNet("cifar_resnet20").initHost(key(1));
    expect(moments(params["layer3.1.conv2.weight"]!).std).toBeCloseTo(Math.sqrt(2 / 576), 3);
    expect(moments(params["layer3.0.downsample.0.weight"]!).std).toBeCloseTo(Math.sqrt(2 / 64), 2);
    expect(params["bn1.weight"]!.data).toEqual(new Float32Array(16).fill(1));
    expect(params["layer1.0.bn2.running_var"]!.data).toEqual(new Float32Array(16).fill(1));
    expect(params["layer1.0.bn2.running_mean"]!.data).toEqual(new Float32Array(16));
  });

  test("DnCNN: orthonormal rows, or columns where they are fewer; the last convolution 0", () => {
    const params = createDnCNN({ channels: 1, width: 12 }).initHost(key(1));
    const product = ({ data }: HostTensor, columns: number, a: number, b: number) => {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += data[a * columns + i]! * data[b * columns + i]!;
      return sum;
    };
    const square = params["dncnn.2.weight"]!; // 12 rows of 108
    expect(product(square, 108, 3, 3)).toBeCloseTo(1, 6);
    expect(product(square, 108, 3, 11)).toBeCloseTo(0, 6);
    const { data } = params["dncnn.0.weight"]!; // 12 rows of 9: the columns are orthonormal
    const columns = (a: number, b: number) => {
      let sum = 0;
      for (let row = 0; row < 12; row++) sum += data[row * 9 + a]! * data[row * 9 + b]!;
      return sum;
    };
    expect(columns(4, 4)).toBeCloseTo(1, 6);
    expect(columns(4, 7)).toBeCloseTo(0, 6);
    expect(moments(params["dncnn.47.weight"]!).largest).toBe(0);
  });

  test("follow from the key", () => {
    const draw = (seed: number) => createConvNet("lenet").initHost(key(seed))["conv1.weight"]!.data;
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });
});

describe("a pass", () => {
  test("keeps nothing and leaves its parameters alone", async () => {
    const net = createConvNet("cifar_resnet20", { width: 2, blocks: [1, 1], inputSize: 8 });
    const params = net.init(key(0));
    const x = tf.ones([2, 8, 8, 3]);
    await expectNoLeak(() => net.logits(params, x).dispose());
    await expectNoLeak(() => {
      const { logits, updates } = net.apply(params, x, { training: true });
      expect(Object.keys(updates!)).toEqual(expect.arrayContaining([...net.buffers]));
      logits.dispose();
      disposeTensors(updates!);
    });
    expect(Object.values(params).some((tensor) => tensor.isDisposed)).toBe(false);
    disposeTensors(params);
    x.dispose();
  });

  test("a fresh denoiser changes nothing", () => {
    tf.tidy(() => {
      const denoiser = createDnCNN({ channels: 1, depth: 3, width: 4 });
      const x = tf.randomUniform([1, 5, 6, 1], 0, 1, "float32", 1);
      const { denoised } = denoiser.denoise(denoiser.init(key(0)), x);
      expect(denoised.dataSync()).toEqual(x.dataSync());
    });
  });

  test("other images and parameters are refused by name", () => {
    tf.tidy(() => {
      const net = createConvNet("lenet");
      const params = net.init(key(0));
      expect(() => net.logits(params, tf.zeros([1, 28, 28, 3]))).toThrow(
        "apply: images must be [B, 28, 28, 1], got [1,28,28,3]",
      );
      const { "fc2.bias": _, ...rest } = params;
      expect(() => net.logits(rest, tf.zeros([1, 28, 28, 1]))).toThrow("fc2.bias [10] is missing");
      const small = createConvNet("cifar_resnet20", { inputSize: 4, width: 1, blocks: [1, 1, 1] });
      expect(() =>
        small.apply(small.init(key(0)), tf.zeros([1, 4, 4, 3]), { training: true }),
      ).toThrow(/at least two values for each channel/);
      expect(() => createDnCNN().denoise({}, tf.zeros([1, 4, 4, 3]))).toThrow(/dncnn.0.weight/);
    });
  });
});

test("configurations are checked", () => {
  // @ts-expect-error unknown name
  expect(() => createConvNet("vgg")).toThrow(/unknown network "vgg"; known are lenet, cifar_/);
  expect(() => createConvNet("lenet", { channels: 3 })).toThrow(/mean must hold one number/);
  expect(() => createConvNet("resnet50", { inputSize: 16 })).toThrow(/at least 32, got 16/);
  expect(() => createConvNet("cifar_resnet20", { blocks: [3, 0] })).toThrow(/blocks\[1\]/);
  expect(() => createConvNet("resnet50", { blocks: [] })).toThrow(
    "blocks of resnet50 must have a number for each stage, e.g. [3,4,6,3], got []",
  );
  expect(() => createDnCNN({ depth: 1 })).toThrow(/depth must be 2 to 1000, got 1/);
  expect(() => createDnCNN({ depth: 1e300 })).toThrow(/depth must be a positive integer/);
  for (const field of ["mean", "std", "blocks"])
    for (const value of [null, "x", 3])
      expect(() => createConvNet("lenet", { [field]: value } as never)).toThrow(
        `${field} must be an array, got ${value}`,
      );
});

describe("loadConvNet", () => {
  const net = createConvNet("cifar_resnet20", { width: 1, blocks: [1] });
  const own = net.initHost(key(5));
  const source = (tensors: Record<string, HostTensor>): ConvNetSource => ({
    names: Object.keys(tensors),
    spec: (name) => tensors[name]!,
    read: async (name) => tensors[name]!,
  });
  const renamed = (rename: (name: string) => string) =>
    Object.fromEntries(Object.entries(own).map(([name, tensor]) => [rename(name), tensor]));

  test.each(["", "1.", "module.", "1.module."])("takes the prefix %j off", async (prefix) => {
    const counter: HostTensor = { dtype: "int32", shape: [], data: Int32Array.of(7) };
    const tensors = {
      ...renamed((name) => prefix + name),
      [`${prefix}bn1.num_batches_tracked`]: counter,
    };
    expect(await loadConvNet(net, source(tensors))).toEqual(own);
  });

  test("lists every name that does not fit", async () => {
    const { "1.fc.bias": _, ...tensors } = renamed((name) => `1.${name}`);
    tensors["1.conv1.weight"] = { dtype: "float32", shape: [1], data: new Float32Array(1) };
    tensors["1.extra"] = own["fc.bias"]!;
    await expect(loadConvNet(net, source(tensors))).rejects.toThrow(
      "loadConvNet: the checkpoint does not fit the network: 1.extra is unknown; " +
        "1.conv1.weight must be [1,3,3,3], got [1]; fc.bias [10] is missing",
    );
  });
});
