import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DmaeError } from "@dmae/core";
import { describe, expect, test } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  loadCheckpoint,
  type TensorReference,
} from "./index.ts";
import { isTensorReference } from "./resume.ts";
import { archive, bytes, dict, pickle, tensor, text } from "./testing/pickle-builder.ts";

const fixture = (name: string) => new URL(`./__fixtures__/${name}`, import.meta.url);
const digests = JSON.parse(readFileSync(fixture("digests.json"), "utf8")) as Record<
  string,
  Record<string, { dtype: string; shape: number[]; sha256: string }>
>;

async function errorOf(promise: Promise<unknown>): Promise<DmaeError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (!DmaeError.isInstance(error)) throw error ?? new Error("nothing was thrown");
  return error;
}

test("a node Buffer is read as bytes are, and what is read belongs to the caller", async () => {
  const json = `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`;
  const size = new Uint8Array(8);
  const data = [7, 0, 0, 0x80, 0x3f];
  for (const padding of ["", " ", "  ", "   "]) {
    const header = new TextEncoder().encode(json + padding);
    size[0] = header.length;
    const checkpoint = await loadCheckpoint(Buffer.from([...size, ...header, ...data]));
    const { w, a } = await checkpoint.readAll();
    expect([w!.data[0], a!.data[0]]).toEqual([1, 7]);
    w!.data[0] = 9;
    a!.data[0] = 9;
    expect((await checkpoint.read("w")).data[0]).toBe(1);
    expect((await checkpoint.read("a")).data[0]).toBe(7);
  }
  const pth = await loadCheckpoint(readFileSync(fixture("finetune-gp.pth")));
  const name = pth.names[0]!;
  const first = await pth.read(name);
  const before = first.data.slice();
  first.data.fill(9);
  expect((await pth.read(name)).data).toEqual(before);
});

describe("every tensor is what PyTorch reads, bit for bit", () => {
  test.each(Object.keys(digests))("%s.pth", async (name) => {
    const checkpoint = await loadCheckpoint(fixture(`${name}.pth`), { select: [] });
    const expected = digests[name]!;
    expect(checkpoint.names).toEqual(Object.keys(expected));
    for (const tensor of checkpoint.names) {
      const { dtype, shape, data } = await checkpoint.readExact(tensor);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      expect({ dtype, shape, sha256 }, tensor).toEqual(expected[tensor]);
    }
    await checkpoint.close();
  });
});

describe("a training checkpoint", () => {
  test("names are those of the model, the rest is plain data", async () => {
    const checkpoint = await loadCheckpoint(fixture("pretrain-3.pth"));
    const recorded = JSON.parse(readFileSync(fixture("pretrain.json"), "utf8"));
    const names = Object.keys(digests["pretrain-3"]!).filter((name) => name.startsWith("model."));
    expect(checkpoint.names.map((name) => `model.${name}`)).toEqual(names);
    expect(checkpoint.spec("pos_embed")).toEqual({ dtype: "float32", shape: [1, 197, 24] });
    const contents = checkpoint.contents as Record<string, unknown>;
    expect(contents.epoch).toBe(0);
    expect(contents.args).toEqual(recorded.args);
    expect(contents.scaler).toMatchObject({ scale: 65536, growth_factor: 2, backoff_factor: 0.5 });
    await checkpoint.close();
  });

  test("saving a model and loading it again changes no bit", async () => {
    const checkpoint = await loadCheckpoint(fixture("finetune-gp.pth"));
    const weights = await checkpoint.readAll();
    const again = decodeSafetensors(encodeSafetensors(weights));
    expect(Object.keys(again.tensors)).toEqual([...checkpoint.names]);
    expect(again.tensors).toEqual(weights);
    await checkpoint.close();
  });
});

describe("all dtypes, views and plain values", () => {
  const kinds = ["edge-zip", "edge-zip-cuda", "edge-zip-protocol4", "edge-bare-state-dict"].concat(
    "edge-legacy",
    "edge-legacy-cuda",
  );

  test.each(kinds)("%s.pth has the recorded tensors", async (name) => {
    const checkpoint = await loadCheckpoint(fixture(`${name}.pth`));
    const expected = await loadCheckpoint(fixture("edge-expected.safetensors"));
    const model = expected.names.filter((tensor) => !tensor.startsWith("optimizer."));
    expect([...checkpoint.names].sort()).toEqual([...model].sort());
    for (const tensor of model) {
      const wanted = await expected.readExact(tensor);
      const got =
        tensor === "bf16" ? await checkpoint.read(tensor) : await checkpoint.readExact(tensor);
      expect(got, tensor).toEqual(wanted);
    }
    await checkpoint.close();
    await expected.close();
  });

  test("values beside the tensors", async () => {
    const checkpoint = await loadCheckpoint(fixture("edge-zip-protocol4.pth"));
    const { optimizer, epoch, args } = checkpoint.contents as unknown as {
      optimizer: { state: Record<string, TensorReference>[]; param_groups: unknown[] };
      epoch: number;
      args: unknown;
    };
    expect(epoch).toBe(7);
    expect(args).toMatchObject({
      lr: 0.5,
      names: ["a", "b"],
      nested: { k: [1, 2.5, null, true] },
      text: "héllo 😀",
      big: 2n ** 70n,
      neg: -1,
    });
    expect(optimizer.param_groups[0]).toMatchObject({ betas: [0.9, 0.95], params: [0, 1] });
    expect(isTensorReference(optimizer.state[0]!.step)).toBe(true);
    expect(optimizer.state[1]!.step).toBe(4);
    const moment = await checkpoint.read(optimizer.state[1]!.exp_avg!);
    const expected = await loadCheckpoint(fixture("edge-expected.safetensors"));
    expect(moment).toEqual(await expected.read("optimizer.state.1.exp_avg"));
    await checkpoint.close();
    await expected.close();
  });

  test("int64 is checked, int16 and uint8 become int32, float64 rounds", async () => {
    const checkpoint = await loadCheckpoint(fixture("edge-zip.pth"));
    expect((await errorOf(checkpoint.read("i64"))).message).toMatch(/int64 values must fit int32/);
    expect((await checkpoint.readExact("i64")).data).toBeInstanceOf(BigInt64Array);
    for (const name of ["i16", "i8", "u8"]) {
      const { dtype, data } = await checkpoint.read(name);
      expect(dtype).toBe("int32");
      expect([...data]).toEqual(Array.from((await checkpoint.readExact(name)).data, Number));
    }
    const doubles = (await checkpoint.readExact("f64")).data as Float64Array;
    const rounded = await checkpoint.read("f64");
    expect(rounded).toEqual({
      dtype: "float32",
      shape: [2, 2],
      data: Float32Array.from(doubles),
    });
    await checkpoint.close();
  });

  test("a current PyTorch's other values: device, dtype, size, bytes, set", async () => {
    const { contents, close } = await loadCheckpoint(fixture("torch-2.13.pth"));
    expect(contents).toMatchObject({
      size: [1, 2],
      device: "cuda:1",
      dtype: "torch.float32",
      bytes: Uint8Array.of(0, 255),
      set: [1, 2],
    });
    await close();
  });
});

describe("what is refused, with advice", () => {
  test.each([
    ["a web page", "<!DOCTYPE html><html>", /a web page: the link answers with a page/],
    ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", /git lfs pull/],
    ["gzip", "\x1f\x8b\x08\x00", /gzip compressed/],
    ["HDF5", "\x89HDF\r\n\x1a\n", /HDF5/],
    ["a plain pickle", "\x80\x04N.", /a plain Python pickle/],
    ["tar", `${"x".repeat(257)}ustar`, /a tar archive/],
    ["anything else", "hello", /neither a PyTorch nor a safetensors file/],
    ["nothing", "", /neither a PyTorch nor a safetensors file/],
  ])("%s", async (_, text, message) => {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    expect((await errorOf(loadCheckpoint(bytes))).message).toMatch(message);
  });

  test("a file that is not there", async () => {
    const error = await errorOf(loadCheckpoint("/nowhere/x.pth"));
    expect(error.code).toBe("file");
    expect(error.message).toMatch(/^loadCheckpoint: cannot open \/nowhere\/x\.pth: ENOENT/);
  });

  test("a flipped bit in a tensor, when that tensor is read", async () => {
    const bytes = new Uint8Array(readFileSync(fixture("finetune-gp.pth")));
    bytes[bytes.length >> 1]! ^= 1;
    const checkpoint = await loadCheckpoint(bytes);
    const outcomes = await Promise.allSettled(
      checkpoint.names.map((name) => checkpoint.read(name)),
    );
    const failed = outcomes.filter(({ status }) => status === "rejected");
    expect(failed).toHaveLength(1);
    expect(String((failed[0] as PromiseRejectedResult).reason)).toMatch(/another checksum/);
  });

  test("a truncated archive", async () => {
    const bytes = new Uint8Array(readFileSync(fixture("finetune-gp.pth")));
    const error = await errorOf(loadCheckpoint(bytes.subarray(0, bytes.length - 100)));
    expect(error).toMatchObject({ code: "file", message: expect.stringMatching(/damaged/) });
  });
});

describe("views of a storage larger than one read", () => {
  const count = 5_000_000; // 20 MB
  const values = Float32Array.from({ length: count }, (_, i) => i);
  const view = (offset: number) => tensor({ count, offset, shape: [3], strides: [1] });
  const model = dict([text("a"), view(0)], [text("b"), view(count - 3)], [text("c"), view(7)]);
  const file = archive(pickle(model), { 0: new Uint8Array(values.buffer) });

  test("hold what they should, the first read and later ones", async () => {
    const checkpoint = await loadCheckpoint(file);
    expect([...(await checkpoint.read("b")).data]).toEqual([count - 3, count - 2, count - 1]);
    expect([...(await checkpoint.read("a")).data]).toEqual([0, 1, 2]);
    expect([...(await checkpoint.read("c")).data]).toEqual([7, 8, 9]);
  });

  test("a flipped bit anywhere in the storage is noticed", async () => {
    const damaged = file.slice();
    damaged[10_000_000]! ^= 1;
    const checkpoint = await loadCheckpoint(damaged);
    expect((await errorOf(checkpoint.read("a"))).message).toMatch(
      /another checksum for "a\/data\/0"/,
    );
  });
});

describe("choice of the state dict", () => {
  test.each(["resnet50", null])(
    "a name beside the state dict, %s, is passed over",
    async (model) => {
      const state = dict([text("w"), tensor({ count: 4, shape: [4], strides: [1] })]);
      const name = model === null ? bytes("N") : text(model);
      const file = archive(pickle(dict([text("model"), name], [text("state_dict"), state])), {
        0: new Uint8Array(16),
      });
      expect((await loadCheckpoint(file)).names).toEqual(["w"]);
    },
  );

  test("select names another key, or everything", async () => {
    const bytes = readFileSync(fixture("edge-zip.pth"));
    const all = await loadCheckpoint(bytes, { select: null });
    expect((await loadCheckpoint(bytes, { select: [] })).names).toEqual(all.names);
    expect(all.names).toContain("optimizer.state.0.exp_avg");
    expect(all.names).toContain("model.f32");
    const state = await loadCheckpoint(bytes, { select: ["optimizer", "state"] });
    expect(state.names).toEqual(["0.step", "0.exp_avg", "1.exp_avg"]);
    const error = await errorOf(loadCheckpoint(bytes, { select: "teacher" }));
    expect(error.code).toBe("checkpoint");
    expect(error.message).toMatch(/nothing at teacher; its keys are model, optimizer, epoch/);
  });

  test("a training state of ours gives its parameters, or what is selected", async () => {
    const scalar = (value: number) =>
      ({ dtype: "float32", shape: [], data: new Float32Array([value]) }) as const;
    const state = { "params.a.b": scalar(1), "optimizer.exp_avg.a.b": scalar(2) };
    const bytes = encodeSafetensors({ ...state, "ema.a.b": scalar(3) }, { step: "7" });
    const checkpoint = await loadCheckpoint(bytes);
    expect(await checkpoint.readAll()).toEqual({ "a.b": scalar(1) });
    expect(checkpoint.metadata.step).toBe("7");
    expect(await (await loadCheckpoint(bytes, { select: "ema" })).readAll()).toEqual({
      "a.b": scalar(3),
    });
    expect((await loadCheckpoint(bytes, { select: ["optimizer", "exp_avg"] })).names).toEqual([
      "a.b",
    ]);
    const bare = encodeSafetensors({ "params.a": scalar(1), "head.bias": scalar(2) });
    expect((await loadCheckpoint(bare)).names).toEqual(["params.a", "head.bias"]);
  });

  test("an unknown name lists the known ones", async () => {
    const checkpoint = await loadCheckpoint(readFileSync(fixture("edge-bare-state-dict.pth")));
    const error = await errorOf(checkpoint.read("head.weight"));
    expect(error.message).toMatch(/has no tensor "head.weight"; it has f32, f64, f16/);
    const other = await loadCheckpoint(readFileSync(fixture("edge-zip.pth")));
    const { model } = other.contents as { model: Record<string, TensorReference> };
    const reference = model.f32!;
    expect((await errorOf(checkpoint.read(reference))).message).toMatch(/of another file/);
    await checkpoint.close();
    expect((await errorOf(checkpoint.read("f32"))).message).toMatch(/is closed already/);
  });
});

describe("sources", () => {
  test("path, file: URL, Blob and bytes give the same", async () => {
    const url = fixture("edge-zip.pth");
    const bytes = new Uint8Array(readFileSync(url));
    const sources = [
      fileURLToPath(url),
      url,
      new Blob([bytes]),
      new File([bytes], "x.pth"),
      bytes,
      bytes.slice().buffer,
    ];
    for (const source of sources) {
      const checkpoint = await loadCheckpoint(source);
      expect((await checkpoint.readExact("transposed")).data).toEqual(
        (await (await loadCheckpoint(bytes)).readExact("transposed")).data,
      );
      await checkpoint.close();
    }
  });

  test("tensors do not share memory with the bytes they came from", async () => {
    const bytes = encodeSafetensors({
      x: { dtype: "float32", shape: [1], data: new Float32Array([1]) },
    });
    const { data } = await (await loadCheckpoint(bytes)).read("x");
    bytes.fill(0);
    expect([...data]).toEqual([1]);
  });
});
