import type { ByteSource } from "./byte-source.ts";
import type { OpenedFile } from "./checkpoint.ts";
import { dtypes, type StoredTensor, viewAs } from "./dtypes.ts";
import { negate } from "./negate.ts";
import type { Fail } from "./pickle-globals.ts";
import { PickleTensor } from "./pickle-values.ts";
import { plainFromPickle } from "./plain-from-pickle.ts";
import { isPlainRecord, type PlainValue, type TensorReference } from "./plain-value.ts";
import type { PytorchContainer, StorageBytes } from "./pytorch-container.ts";
import { openPytorchLegacy } from "./pytorch-legacy.ts";
import { openPytorchZip } from "./pytorch-zip.ts";
import { gather } from "./strided.ts";
import { damagedPickle } from "./unpickle.ts";

const maxSteps = 1_000_000;

/** Opens what `torch.save` writes, in either of its formats. @internal */
export async function openPytorch(
  caller: string,
  source: ByteSource,
  format: "pytorch-zip" | "pytorch-legacy",
  { maxHeader, allowGlobals }: { maxHeader: number; allowGlobals: readonly string[] },
): Promise<OpenedFile> {
  const open = format === "pytorch-zip" ? openPytorchZip : openPytorchLegacy;
  const container = await open(caller, source, { maxHeader, maxSteps, allowGlobals });
  const fail: Fail = (reason) => {
    throw damagedPickle(caller, reason);
  };
  const root = plainFromPickle(container.root, fail);
  const contents = isPlainRecord(root) ? root : { value: root };
  const places = locateTensors(contents, container, fail);
  const readStored = (reference: TensorReference) => {
    const bytes = places.get(reference);
    return bytes && readTensor(bytes, reference as PickleTensor);
  };
  return { format: "pytorch", contents, metadata: {}, tensors: [...places.keys()], readStored };
}

/** Finds the bytes of each tensor's storage and checks that they are as many as the pickle says. */
function locateTensors(
  contents: PlainValue,
  container: PytorchContainer,
  fail: Fail,
): Map<TensorReference, StorageBytes> {
  const places = new Map<TensorReference, StorageBytes>();
  const seen = new Set<PlainValue>();
  const visit = (value: PlainValue): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof PickleTensor) places.set(value, findStorage(value, container, fail));
    else if (Array.isArray(value)) value.forEach(visit);
    else if (value instanceof Map) value.forEach(visit);
    else if (isPlainRecord(value)) Object.values(value).forEach(visit);
  };
  visit(contents);
  return places;
}

function findStorage(
  { storage }: PickleTensor,
  container: PytorchContainer,
  fail: Fail,
): StorageBytes {
  const found = container.storage(storage);
  if (!found) return fail(`the file lacks the storage "${storage.key}"`);
  const unit = storage.dtype === undefined ? 1 : dtypes[storage.dtype].bytes;
  if (Math.floor(found.size / unit) !== storage.total)
    return fail(`storage "${storage.key}" has ${found.size} bytes, not ${storage.total} x ${unit}`);
  return found;
}

async function readTensor(
  storage: StorageBytes,
  { dtype, shape, strides, offset, isNegated }: PickleTensor,
): Promise<StoredTensor> {
  const { bytes } = dtypes[dtype];
  const isEmpty = shape.includes(0);
  const span = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 1);
  const start = isEmpty ? 0 : offset * bytes;
  const raw = await storage.read(start, isEmpty ? 0 : start + span * bytes);
  const data = gather(viewAs(dtype, raw), shape, strides);
  if (isNegated) negate(dtype, data);
  return { dtype, shape, data };
}
