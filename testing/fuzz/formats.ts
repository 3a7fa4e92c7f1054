// The formats that are read, each with small valid files and the reader that must survive their damage.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { loadCheckpoint } from "../../packages/checkpoint/src/index.ts";
import { key } from "../../packages/core/src/index.ts";
import { loadCifar10 } from "../../packages/datasets/src/cifar.ts";
import { decodeImage } from "../../packages/datasets/src/decode.ts";
import { loadImageFolder } from "../../packages/datasets/src/image-folder.ts";
import { loadIdx } from "../../packages/datasets/src/load-idx.ts";
import { loadSharp } from "../../packages/datasets/src/load-sharp.ts";
import { centerCrop } from "../../packages/datasets/src/operations.ts";
import { synthetic } from "../../packages/datasets/src/synthetic.ts";
import { loadTarShards } from "../../packages/datasets/src/tar-shards.ts";
import { writeTarShards } from "../../packages/datasets/src/write-tar-shards.ts";
import { fromOnnx } from "../../packages/smoothing-certify/src/classifier/from-onnx.ts";
import { fromModelJson } from "../../packages/smoothing-certify/src/classifier/model-json.ts";
import { formatHeader, formatRow } from "../../packages/smoothing-certify/src/log/log-format.ts";
import { mergeLogs } from "../../packages/smoothing-certify/src/log/merge.ts";
import { certifiedAccuracy } from "../../packages/smoothing-certify/src/report/summary.ts";

/** One format: valid files, and a reader of damaged ones, which resolves or rejects with a `DmaeError`. */
export interface Format {
  readonly name: string;
  readonly originals: readonly Uint8Array[];
  read(bytes: Uint8Array): Promise<unknown>;
}

const fixture = (path: string) => readFile(new URL(`../../packages/${path}`, import.meta.url));
const options = { transform: [centerCrop(8)], indexFile: false } as const;

/** All formats; files are written below `folder`. */
export async function allFormats(folder: string): Promise<Format[]> {
  const lists = [checkpoints(), idx(folder), images(folder), shards(folder), indexes(folder)];
  return (await Promise.all([...lists, models(folder), logs(folder)])).flat();
}

async function checkpoints(): Promise<Format[]> {
  const read = async (bytes: Uint8Array) => {
    const checkpoint = await loadCheckpoint(bytes, { select: null });
    for (const name of checkpoint.names) await checkpoint.readExact(name);
  };
  const of = async (name: string, files: readonly string[]) => ({
    name,
    originals: await Promise.all(
      files.map((file) => fixture(`checkpoint/src/__fixtures__/${file}`)),
    ),
    read,
  });
  return [
    await of("PyTorch, zip", ["edge-zip.pth", "torch-2.13.pth", "no-checksums.pth", "negated.pth"]),
    await of("PyTorch before 1.6", ["legacy.pth", "edge-legacy.pth"]),
    await of("safetensors", ["edge-expected.safetensors"]),
  ];
}

const bigEndian = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};

async function idx(folder: string): Promise<Format[]> {
  const home = join(folder, "idx");
  await mkdir(home);
  const pictures = Buffer.concat([bigEndian(0x803, 5, 6, 4), Buffer.alloc(120, 7)]);
  const labels = Buffer.concat([bigEndian(0x801, 5), Buffer.from([0, 9, 4, 1, 7])]);
  await writeFile(join(home, "test-labels-idx1-ubyte"), labels);
  const cifar = join(folder, "cifar");
  await mkdir(cifar);
  return [
    {
      name: "IDX, plain and gzip",
      originals: [pictures, gzipSync(pictures)],
      read: async (bytes) => {
        await writeFile(join(home, "test-images-idx3-ubyte"), bytes);
        return loadIdx(home, { split: "test" });
      },
    },
    {
      name: "CIFAR-10, binary",
      originals: [Buffer.alloc(2 * 3073, 3)],
      read: async (bytes) => {
        await writeFile(join(cifar, "test_batch.bin"), bytes);
        return loadCifar10(cifar, { split: "test" });
      },
    },
  ];
}

async function images(folder: string): Promise<Format[]> {
  const sharp = await loadSharp("fuzz");
  const raw = { width: 12, height: 9, channels: 3 } as const;
  const noise = Buffer.from(Array.from({ length: 324 }, (_, i) => (i * 7919) % 251));
  const originals = await Promise.all(
    (["jpeg", "png", "webp", "tiff", "gif"] as const).map((format) =>
      sharp(noise, { raw }).toFormat(format).toBuffer(),
    ),
  );
  const root = join(folder, "images");
  await mkdir(join(root, "a"), { recursive: true });
  return [
    { name: "JPEG, PNG, WebP, TIFF, GIF", originals, read: (bytes) => decodeImage(bytes, "image") },
    {
      name: "image folders",
      originals,
      read: async (bytes) => {
        await writeFile(join(root, "a", "1.jpg"), bytes);
        return (await loadImageFolder(root, options)).get(0);
      },
    },
  ];
}

const few = () => synthetic({ length: 3, key: key(0), imageShape: [32, 32, 3] });

async function shards(folder: string): Promise<Format[]> {
  const home = join(folder, "shards");
  const [file] = await writeTarShards(home, few());
  return [
    {
      name: "tar shards",
      originals: [await readFile(file!)],
      read: async (bytes) => {
        await writeFile(join(home, "damaged.tar"), bytes);
        return (await loadTarShards([join(home, "damaged.tar")], options)).get(0);
      },
    },
  ];
}

/** A cached index whose digest is right again after the damage, as a forger would have it. */
async function indexes(folder: string): Promise<Format[]> {
  const home = join(folder, "indexed");
  await writeTarShards(home, few());
  const indexFile = join(folder, "index");
  await loadTarShards(home, { ...options, indexFile });
  const magic = "dmae-index 2\n";
  const body = (await readFile(indexFile)).subarray(magic.length + 65);
  return [
    {
      name: "cached indexes, forged",
      originals: [body],
      read: async (bytes) => {
        const digest = createHash("sha256").update(bytes).digest("hex");
        await writeFile(indexFile, Buffer.concat([Buffer.from(`${magic}${digest}\n`), bytes]));
        return (await loadTarShards(home, { ...options, indexFile })).get(0);
      },
    },
  ];
}

async function models(folder: string): Promise<Format[]> {
  const home = join(folder, "model");
  await mkdir(home);
  const shape = (dims: number[]) => ({ dim: dims.map((size) => ({ size: String(size) })) });
  const float = { type: "DT_FLOAT" };
  const node = [
    { name: "x", op: "Placeholder", attr: { dtype: float, shape: { shape: shape([-1, 4]) } } },
    {
      name: "w",
      op: "Const",
      attr: { dtype: float, value: { tensor: { dtype: "DT_FLOAT", tensorShape: shape([4, 2]) } } },
    },
    { name: "logits", op: "MatMul", input: ["x", "w"], attr: { T: float } },
  ];
  const weights = [{ name: "w", shape: [4, 2], dtype: "float32" }];
  const json = {
    format: "graph-model",
    modelTopology: { node, library: {}, versions: { producer: 1 } },
    weightsManifest: [{ paths: ["w.bin"], weights }],
  };
  await writeFile(join(home, "w.bin"), Buffer.alloc(32));
  const names = ["small", "static-int8", "dynamic-quantized", "dropout-training"];
  return [
    {
      name: "model.json",
      originals: [Buffer.from(JSON.stringify(json))],
      read: async (bytes) => {
        await writeFile(join(home, "model.json"), bytes);
        (await fromModelJson(join(home, "model.json"))).dispose();
      },
    },
    {
      name: "ONNX",
      originals: await Promise.all(
        names.map((name) => fixture(`smoothing-certify/src/__fixtures__/${name}.onnx`)),
      ),
      read: async (bytes) => (await fromOnnx(new Uint8Array(bytes))).dispose(),
    },
  ];
}

async function logs(folder: string): Promise<Format[]> {
  const settings = {
    ...{ procedure: "certify", sigma: 0.5, alpha: 0.001, n: 100, n0: 10, seed: "1" },
    ...{ generator: "philox", dataset: "d", model: "m" },
  };
  const row = (idx: number) => ({
    ...{ idx, label: 1, predict: 1, radius: 0.25, correct: 1 as const, time: 1.5, pLower: 0.7 },
    ...{ samples: 110, counts0: [0, 10], counts: [5, 95], settings },
  });
  const rows = [0, 1, 2].map((idx) => formatRow(row(idx), true));
  const text = Buffer.from(formatHeader(true) + rows.join(""));
  const attacked = (idx: number) => ({ ...row(idx), attacked: 0.5, clean: 1 as const });
  const attacks = [0, 1].map((idx) => formatRow(attacked(idx), true));
  const withAttacks = Buffer.from(formatHeader(true, true) + attacks.join(""));
  const python = Buffer.from(
    "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.5\t1\t0:00:01.25\n9\t1\t-1\t0.0\t0\t0:00:02\n",
  );
  const read = (name: string) => async (bytes: Uint8Array) => {
    await writeFile(join(folder, name), bytes);
    return certifiedAccuracy(await mergeLogs([join(folder, name)], { partial: true }), [0, 0.5]);
  };
  return [
    { name: "logs", originals: [text, withAttacks, python], read: read("log.tsv") },
    { name: "logs, gzip", originals: [gzipSync(text)], read: read("log.tsv.gz") },
  ];
}
