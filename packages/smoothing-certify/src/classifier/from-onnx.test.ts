import { readFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it, vi } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { issueCertificate } from "../certificate/issue-certificate.ts";
import { verifyCertificate } from "../certificate/verify-certificate.ts";
import { certify } from "../procedures/certify.ts";
import { fromOnnx, type LoadedClassifier } from "./from-onnx.ts";
import { findSuspects, readOnnxGraph } from "./onnx-graph.ts";

const url = (name: string) => new URL(`../__fixtures__/${name}.onnx`, import.meta.url);
const path = (name: string) => fileURLToPath(url(name));

// logits of (i mod 17) / 17 as [2, 3, 4, 4], by Python's onnxruntime (make-onnx.py)
const logits = [
  -1.3635711669921875, -0.2963365912437439, 0.9246887564659119, -1.1753958463668823,
  -1.0731096267700195, 1.8381102085113525,
];
const channelsFirst = Float32Array.from({ length: 96 }, (_, i) => (i % 17) / 17);
const channelsLast = Float32Array.from({ length: 96 }, (_, i) => {
  const [image, pixel, channel] = [Math.floor(i / 48), Math.floor((i % 48) / 3), i % 3];
  return channelsFirst[image * 48 + channel * 16 + pixel]!;
});
const values = async (classifier: LoadedClassifier, batch: Float32Array, shape: number[]) =>
  ((await classifier.predict(batch, shape)) as { data: Float32Array }).data;
const image = { data: channelsLast.slice(0, 48), shape: [4, 4, 3] };
const options = { seed: 0, sigma: 0.25, n0: 10, n: 200, batchSize: 32 };

describe("fromOnnx", () => {
  it("gives the logits of Python's onnxruntime, from [H, W, C] images", async () => {
    const classifier = await fromOnnx(path("small"));
    expectClose(await values(classifier, channelsLast, [2, 4, 4, 3]), logits, { absolute: 2e-6 });
    expect(classifier).toMatchObject({
      input: "array",
      numClasses: 3,
      name: "small.onnx",
      rowMixers: [],
      randomParts: [],
    });
    expect(classifier.fixedBatchSize).toBeUndefined();
    await classifier.dispose();
  });

  it("takes the cores it may use and lets threads rest between runs, unless asked for otherwise", async () => {
    const create = vi.spyOn(InferenceSession, "create");
    vi.spyOn(os, "availableParallelism").mockReturnValue(1); // as bound to one core
    const other = { extra: { session: { force_spinning_stop: "0" } } };
    const models = [
      await fromOnnx(path("small")),
      await fromOnnx(path("small"), { session: { intraOpNumThreads: 3 } }),
      await fromOnnx(path("small"), { session: other }),
    ];
    for (const model of models) await model.dispose();
    const own = { intraOpNumThreads: 1, extra: { session: { force_spinning_stop: "1" } } };
    const given = create.mock.calls.map((call) => call.at(1));
    expect(given).toEqual([own, { ...own, intraOpNumThreads: 3 }, { ...own, ...other }]);
    vi.restoreAllMocks();
  });

  it("takes URLs, bytes, blobs and sessions, and leaves a session alone", async () => {
    const bytes = new Uint8Array(readFileSync(url("small")));
    const session = await InferenceSession.create(path("small"));
    for (const model of [
      url("small"),
      String(url("small")),
      bytes,
      bytes.buffer,
      new Blob([bytes]),
      session as never,
    ]) {
      const classifier = await fromOnnx(model, { onnxruntime: { InferenceSession, Tensor } });
      expectClose(await values(classifier, channelsLast, [2, 4, 4, 3]), logits, { absolute: 2e-6 });
      await classifier.dispose();
    }
    const want = await certify(await fromOnnx(bytes), image, options);
    expect(await certify(session as never, image, options)).toEqual(want);
  });

  it("takes batches that are in the model's order already, and normalizes after the noise", async () => {
    const asIs = await fromOnnx(path("small"), { layout: "as-is" });
    expectClose(await values(asIs, channelsFirst, [2, 3, 4, 4]), logits, { absolute: 2e-6 });
    const normalize = { mean: [0.1, 0.2, 0.3], std: [0.5, 2, 4] };
    const raw = channelsLast.map((v, i) => v * normalize.std[i % 3]! + normalize.mean[i % 3]!);
    const normalized = await fromOnnx(path("small"), normalize);
    expectClose(await values(normalized, raw, [2, 4, 4, 3]), logits, { absolute: 1e-5 });
    const rawFirst = channelsFirst.map(
      (v, i) =>
        v * normalize.std[Math.floor(i / 16) % 3]! + normalize.mean[Math.floor(i / 16) % 3]!,
    );
    const both = await fromOnnx(path("small"), { ...normalize, layout: "as-is" });
    expectClose(await values(both, rawFirst, [2, 3, 4, 4]), logits, { absolute: 1e-5 });
  });

  it("takes a bare array for an image of the shape that the model takes", async () => {
    const classifier = await fromOnnx(path("small"));
    expect(classifier.imageShape).toEqual([4, 4, 3]);
    const bare = await certify(classifier, image.data, options);
    expect(bare).toEqual(await certify(classifier, image, options));
    expect(bare.shape).toEqual([4, 4, 3]);
    const certificate = await issueCertificate(classifier, image.data, options);
    expect(certificate.input.shape).toEqual([4, 4, 3]);
    const { isRecounted } = await verifyCertificate(certificate, { classifier, x: image.data });
    expect(isRecounted).toBe(true);
    await expect(certify(classifier, image.data.slice(1), options)).rejects.toThrow(
      "certify: shape [4,4,3] holds 48 numbers, but x has 47",
    );
    const resizing = await fromOnnx(path("small"), { size: 4 });
    await expect(certify(resizing, image.data, options)).rejects.toThrow(
      "fromOnnx: the model takes images, got 48 numbers; say their shape [H, W, C], e.g. shape: [28, 28, 1]",
    );
    for (const shape of [
      [4, 12],
      [1, 4, 4, 3],
    ])
      await expect(certify(classifier, image.data, { ...options, shape })).rejects.toThrow(
        `fromOnnx: the model takes images, got the shape [${shape}]; say their shape [H, W, C], e.g. shape: [28, 28, 1]`,
      );
  });

  it("keeps to a fixed batch size", async () => {
    const classifier = await fromOnnx(path("small-batch-8"));
    expect(classifier.fixedBatchSize).toBe(8);
    const want = await certify(await fromOnnx(path("small")), image, options);
    expect(await certify(classifier, image, options)).toEqual(want);
  });

  it("certifies float32 and fixed-scale int8 models", async () => {
    for (const name of ["small", "static-int8"]) {
      const result = await certify(await fromOnnx(path(name)), image, options);
      expect(result.counts.reduce((a, b) => a + b)).toBe(200);
    }
  });

  it("refuses a dynamically quantized model and names its nodes, unless batches are of one", async () => {
    const classifier = await fromOnnx(path("dynamic-quantized"));
    const refused = certify(classifier, image, options);
    await expect(refused).rejects.toThrow(
      /depends on the rows beside it.*DynamicQuantizeLinear "x_QuantizeLinear" takes its scale from the whole batch/,
    );
    await expect(certify(classifier, image, options)).rejects.toMatchObject({ code: "classifier" });
    expect((await certify(classifier, image, { ...options, batchSize: 1 })).samples).toBe(210);
    // and the check by running it sees it too, where the graph is not known
    const session = await InferenceSession.create(path("dynamic-quantized"));
    await expect(certify(session as never, image, options)).rejects.toThrow(
      /depends on the rows beside it \(logits differ by up to/,
    );
  });

  it.each([
    [
      "batch-norm-training",
      'depends on the rows beside it.*BatchNormalization "bn0" is in training mode and normalizes by the batch',
    ],
    ["dropout-training", 'is random: Dropout "drop0" is in training mode'],
  ])("refuses %s and names the node", async (name, message) => {
    const classifier = await fromOnnx(path(name));
    await expect(certify(classifier, image, options)).rejects.toThrow(new RegExp(message));
    await expect(certify(classifier, image, options)).rejects.toMatchObject({ code: "classifier" });
    // by what it answers, too, where the graph is not known; the default optimizations remove Dropout
    const session = await InferenceSession.create(path(name), {
      graphOptimizationLevel: "disabled",
    });
    await expect(certify(session as never, image, options)).rejects.toThrow(
      /depends on the rows beside it|different answers to the same batch/,
    );
  });

  it("refuses what names no model, and may be disposed of twice", async () => {
    for (const model of [undefined, null, 5, "", {}])
      await expect(fromOnnx(model as never)).rejects.toThrow(
        "fromOnnx: model must be a path, URL, Blob, bytes or a session of ONNX Runtime, got",
      );
    const classifier = await fromOnnx(path("small"));
    await classifier.dispose();
    await classifier.dispose();
    await expect(certify(classifier, image, options)).rejects.toThrow("the classifier threw");
  });

  it("says what is wrong with a file", async () => {
    await expect(fromOnnx("nowhere.onnx")).rejects.toThrow(
      "fromOnnx: cannot load nowhere.onnx: ENOENT",
    );
    await expect(fromOnnx(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "file" });
    await expect(fromOnnx(path("small"), { output: "foo" })).rejects.toThrow(
      'fromOnnx: output must be one of logits, got "foo"',
    );
    await expect(fromOnnx(path("small"), { normalize: {} } as never)).rejects.toThrow(
      'fromOnnx: unknown option "normalize"; known are channels, scale, mean',
    );
    await expect(fromOnnx(path("small"), { mean: [0], std: [0] })).rejects.toThrow(
      "std must be above 0 and finite",
    );
    const classifier = await fromOnnx(path("small"), { mean: [0, 0], std: [1, 1] });
    await expect(certify(classifier, image, options)).rejects.toThrow(
      "mean and std have 2 channels, the images have 3",
    );
    const nchw = await fromOnnx(path("small"), { layout: "NCHW" });
    await expect(
      certify(nchw, { data: new Float32Array(48), shape: [48] }, options),
    ).rejects.toThrow("layout NCHW needs images of shape [H, W, C], got [48]");
    await expect(
      certify(
        await fromOnnx(path("small")),
        { data: new Float32Array(27), shape: [3, 3, 3] },
        options,
      ),
    ).rejects.toThrow(
      "the model takes images of 4x4 (NCHW), got 3x3; set size: 4 to resize after the noise",
    );
  });
});

describe("readOnnxGraph", () => {
  const read = (name: string) =>
    findSuspects(readOnnxGraph(new Uint8Array(readFileSync(url(name)))));

  it("names batch normalization and dropout in training mode", () => {
    expect(read("batch-norm-training").rowMixers).toEqual([
      'BatchNormalization "bn0" is in training mode and normalizes by the batch',
    ]);
    expect(read("dropout-training").randomParts).toEqual(['Dropout "drop0" is in training mode']);
    expect(read("dynamic-quantized").rowMixers.length).toBe(2);
  });

  it("reads damaged files as graphs or throws a RangeError, and ends", () => {
    const whole = new Uint8Array(readFileSync(url("dynamic-quantized")));
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(damage, fc.nat(whole.length), (changes, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, value] of changes) bytes[at] = value;
        try {
          for (const { type } of readOnnxGraph(bytes).nodes) expect(typeof type).toBe("string");
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { seed: 9, numRuns: 1000 },
    );
  });

  it("has nothing to say about ordinary models", () => {
    for (const name of ["small", "static-int8", "small-batch-8"])
      expect(read(name)).toEqual({ rowMixers: [], randomParts: [] });
  });

  it("lists nodes with their names, inputs and attributes", () => {
    const { nodes } = readOnnxGraph(new Uint8Array(readFileSync(url("small"))));
    expect(nodes.map(({ type, name }) => `${type} ${name}`)).toEqual([
      "Conv conv0",
      "Relu relu0",
      "Flatten flatten0",
      "Gemm head",
    ]);
    expect(nodes[3]!.integers.get("transB")).toBe(1);
    expect(nodes[0]!.inputs).toEqual(["x", "conv", "conv_b"]);
  });
});
