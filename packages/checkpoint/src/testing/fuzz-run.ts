// Test helper: loads damaged files and checks that each loads right or fails as it should.
import { readFileSync } from "node:fs";
import { DmaeError, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { type Checkpoint, encodeSafetensors, loadCheckpoint, type StoredTensor } from "../index.ts";
import { mutate, type Random } from "./fuzz-mutations.ts";
import { archive } from "./pickle-builder.ts";

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../__fixtures__/${name}`, import.meta.url)));

const pytorch = ["edge-zip", "edge-zip-cuda", "edge-zip-protocol4", "edge-bare-state-dict"]
  .concat("torch-2.13")
  .map((name) => fixture(`${name}.pth`));
const legacy = ["edge-legacy", "legacy"].map((name) => fixture(`${name}.pth`));
const safetensors = [
  fixture("edge-expected.safetensors"),
  encodeSafetensors(
    {
      "head.weight": { dtype: "float32", shape: [2, 3], data: new Float32Array(6).fill(0.5) },
      "head.bias": { dtype: "float32", shape: [2], data: new Float32Array(2) },
      flag: { dtype: "bool", shape: [], data: new Uint8Array(1) },
    },
    { recipe: '{"sigma":0.25}' },
  ),
];

/** How many files did what. */
export interface FuzzCounts {
  loaded: number;
  refused: number;
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/**
 * Loads `files` damaged files, a quarter each: archives, archives whose pickle was damaged before it was
 * packed with right checksums, files of PyTorch's first format, safetensors. Throws at the first that does anything else than load right
 * or fail with a `DmaeError`; the message has what is needed to see it again.
 */
export async function fuzz(seed: number, files: number, from = 0): Promise<FuzzCounts> {
  const counts = { loaded: 0, refused: 0 };
  const originals = await Promise.all(pytorch.map((file) => readAll(file).catch(() => undefined)));
  const pickles = await Promise.all(pytorch.map(unpack));
  for (let i = from; i < from + files; i++) {
    const random = generator(key(`${seed}/${i}`));
    const kinds = [fuzzArchive, fuzzPickle, fuzzLegacy, fuzzSafetensors];
    try {
      const done = await kinds[i % kinds.length]!(random, originals, pickles);
      counts[done ? "loaded" : "refused"]++;
    } catch (cause) {
      throw new Error(`file ${i} of seed ${seed}: fuzz(${seed}, 1, ${i}) shows it`, { cause });
    }
  }
  return counts;
}

type Case = (
  random: Random,
  originals: readonly (Tensors | undefined)[],
  pickles: readonly Unpacked[],
) => Promise<boolean>;

const pick = <T>(items: readonly T[], random: Random) =>
  items[Math.floor(random() * items.length)]!;

/** Checksums guard pickle and tensors, so whatever still loads must be the original, bit for bit. */
const fuzzArchive: Case = async (random, originals) => {
  const index = Math.floor(random() * pytorch.length);
  const damaged = mutate(pytorch[index]!, random, pick(pytorch, random));
  const tensors = await attempt(() => readAll(damaged));
  if (!tensors) return false;
  const expected = [...originals].filter((original) => original && isEqual(original, tensors));
  if (expected.length === 0) throw new Error("the file loads, but as another one");
  return true;
};

/** A damaged pickle may mean something else, but every tensor must be whole and of its shape. */
const fuzzPickle: Case = async (random, _, pickles) => {
  const { pickle, storages } = pick(pickles, random);
  const damaged = mutate(pickle, random, pick(pickles, random).pickle);
  return checkShapes(await attempt(() => readAll(archive(damaged, storages))));
};

/** The first format has no checksums. */
const fuzzLegacy: Case = async (random) => {
  const damaged = mutate(pick(legacy, random), random, pick(legacy, random));
  return checkShapes(await attempt(() => readAll(damaged)));
};

function checkShapes(tensors: Tensors | undefined): boolean {
  for (const [name, { shape, data }] of tensors ?? [])
    if (data.length !== shape.reduce((product, size) => product * size, 1))
      throw new Error(`${name} has ${data.length} elements for [${shape}]`);
  return tensors !== undefined;
}

/** Values have no checksum there; they must be the bytes that the header names. */
const fuzzSafetensors: Case = async (random) => {
  const damaged = mutate(pick(safetensors, random), random, pick(safetensors, random));
  const tensors = await attempt(() => readAll(damaged));
  if (!tensors) return false;
  const length = new DataView(damaged.buffer, damaged.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(damaged.subarray(8, 8 + length)));
  delete header.__metadata__;
  if (Object.keys(header).length !== tensors.size) throw new Error("a tensor is missing");
  for (const [name, { data }] of tensors) {
    const [start, end] = header[name].data_offsets;
    const expected = damaged.subarray(8 + length + start, 8 + length + end);
    if (Buffer.compare(expected, bytesOf(data)) !== 0) throw new Error(`${name} has other values`);
  }
  return true;
};

/** What `load` gives, or undefined where it fails with a typed error. */
async function attempt<T>(load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load();
  } catch (error) {
    if (DmaeError.isInstance(error)) return undefined;
    throw error;
  }
}

async function readAll(file: Uint8Array): Promise<Tensors> {
  const checkpoint: Checkpoint = await loadCheckpoint(file, { select: [] });
  const tensors = new Map<string, StoredTensor>();
  for (const name of checkpoint.names) tensors.set(name, await checkpoint.readExact(name));
  return tensors;
}

function isEqual(a: Tensors, b: Tensors): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, { dtype, shape, data }]) => {
    const other = b.get(name);
    return (
      other?.dtype === dtype &&
      `${other.shape}` === `${shape}` &&
      Buffer.compare(bytesOf(data), bytesOf(other.data)) === 0
    );
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

interface Unpacked {
  readonly pickle: Uint8Array;
  readonly storages: Record<string, Uint8Array>;
}

/** Takes an archive apart by its local headers, whose sizes the directory repeats. */
async function unpack(file: Uint8Array): Promise<Unpacked> {
  const { openZip } = await import("../zip-read.ts");
  const { bytesSource } = await import("../byte-source.ts");
  const zip = await openZip("fuzz", bytesSource(file), 1 << 20);
  const storages: Record<string, Uint8Array> = {};
  let pickle = new Uint8Array(0);
  for (const [name, entry] of zip.entries) {
    const data = await zip.read(entry, 0, entry.size);
    if (name.endsWith("/data.pkl")) pickle = new Uint8Array(data);
    const key = /\/data\/(.*)$/.exec(name)?.[1];
    if (key !== undefined) storages[key] = data;
  }
  return { pickle, storages };
}
