import { DmaeError } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";
import type { OpenedFile } from "./checkpoint.ts";
import { dtypes, type StoredTensor, viewAs } from "./dtypes.ts";
import { negate } from "./negate.ts";
import type { Fail } from "./pickle-globals.ts";
import { PickleTensor } from "./pickle-values.ts";
import { plainFromPickle } from "./plain-from-pickle.ts";
import { isPlainRecord, type PlainValue, type TensorReference } from "./plain-value.ts";
import { gather } from "./strided.ts";
import { unpickle } from "./unpickle.ts";
import type { ZipEntry } from "./zip-directory.ts";
import { openZip, type ZipArchive } from "./zip-read.ts";

const maxSteps = 1_000_000;

/** Opens what `torch.save` writes since PyTorch 1.6: a zip of one pickle and one file per storage. @internal */
export async function openPytorch(
  caller: string,
  source: ByteSource,
  { maxHeader, allowGlobals }: { maxHeader: number; allowGlobals: readonly string[] },
): Promise<OpenedFile> {
  const archive = await openZip(caller, source, maxHeader);
  const prefix = archivePrefix(caller, archive);
  await checkByteOrder(caller, archive, prefix);
  const pickle = await readSmall(caller, archive, `${prefix}data.pkl`, maxHeader);
  const fail: Fail = (reason) => {
    throw new DmaeError("file", `${caller}: the pickle is damaged or of another kind: ${reason}`);
  };
  const root = plainFromPickle(unpickle(caller, pickle, { maxSteps, allowGlobals }), fail);
  const contents = isPlainRecord(root) ? root : { value: root };
  const places = locateTensors(contents, archive, prefix, fail);
  const readStored = (reference: TensorReference) => {
    const entry = places.get(reference);
    return entry && readTensor(archive, entry, reference as PickleTensor);
  };
  return { format: "pytorch", contents, metadata: {}, readStored };
}

/** The folder inside the archive, `name/`. */
function archivePrefix(caller: string, { entries }: ZipArchive): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const prefix = pickles.length === 1 ? pickles[0]!.slice(0, -"data.pkl".length) : undefined;
  if (prefix === undefined)
    throw new DmaeError(
      "file",
      `${caller}: a PyTorch checkpoint is an archive with one data.pkl, this one has ${pickles.length}`,
    );
  if (entries.has(`${prefix}constants.pkl`))
    throw new DmaeError(
      "unsupported",
      `${caller}: this is a TorchScript program, not a checkpoint; in Python: torch.save(torch.jit.load(path).state_dict(), "weights.pth")`,
    );
  return prefix;
}

async function checkByteOrder(caller: string, archive: ZipArchive, prefix: string): Promise<void> {
  const name = `${prefix}byteorder`;
  if (!archive.entries.has(name)) return; // files before PyTorch 2.1 are little-endian
  const order = new TextDecoder("latin1").decode(await readSmall(caller, archive, name, 100));
  if (order !== "little")
    throw new DmaeError("unsupported", `${caller}: byte order must be little, got "${order}"`);
}

async function readSmall(
  caller: string,
  archive: ZipArchive,
  name: string,
  limit: number,
): Promise<Uint8Array> {
  const entry = archive.entries.get(name)!;
  if (entry.size > limit)
    throw new DmaeError(
      "file",
      `${caller}: "${name}" may have ${limit} bytes at most, got ${entry.size}; maxHeaderBytes raises the cap`,
    );
  return archive.read(entry, 0, entry.size);
}

/** Finds the file of each tensor's storage and checks that it has the size that the pickle says. */
function locateTensors(
  contents: PlainValue,
  { entries }: ZipArchive,
  prefix: string,
  fail: Fail,
): Map<TensorReference, ZipEntry> {
  const places = new Map<TensorReference, ZipEntry>();
  const seen = new Set<PlainValue>();
  const visit = (value: PlainValue): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof PickleTensor)
      places.set(value, storageEntry(value, entries, prefix, fail));
    else if (Array.isArray(value)) value.forEach(visit);
    else if (value instanceof Map) value.forEach(visit);
    else if (isPlainRecord(value)) Object.values(value).forEach(visit);
  };
  visit(contents);
  return places;
}

function storageEntry(
  { storage }: PickleTensor,
  entries: ReadonlyMap<string, ZipEntry>,
  prefix: string,
  fail: Fail,
): ZipEntry {
  const entry = entries.get(`${prefix}data/${storage.key}`);
  if (!entry) return fail(`the archive lacks the storage "${storage.key}"`);
  const unit = storage.dtype === undefined ? 1 : dtypes[storage.dtype].bytes;
  if (Math.floor(entry.size / unit) !== storage.count)
    return fail(`storage "${storage.key}" has ${entry.size} bytes, not ${storage.count} x ${unit}`);
  return entry;
}

async function readTensor(
  archive: ZipArchive,
  entry: ZipEntry,
  { dtype, shape, strides, offset, isNegated }: PickleTensor,
): Promise<StoredTensor> {
  const { bytes } = dtypes[dtype];
  const isEmpty = shape.includes(0);
  const span = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 1);
  const start = isEmpty ? 0 : offset * bytes;
  const raw = await archive.read(entry, start, isEmpty ? 0 : start + span * bytes);
  const data = gather(viewAs(dtype, raw), shape, strides);
  if (isNegated) negate(dtype, data);
  return { dtype, shape, data };
}
