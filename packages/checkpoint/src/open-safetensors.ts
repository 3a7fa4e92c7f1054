import type { ByteSource } from "./byte-source.ts";
import type { OpenedFile } from "./checkpoint.ts";
import { viewAs } from "./dtypes.ts";
import { markReference, type TensorReference } from "./plain-value.ts";
import { headerLength, parseHeader, type SafetensorsEntry } from "./safetensors-header.ts";

/** @internal */
export async function openSafetensors(
  caller: string,
  source: ByteSource,
  maxHeader: number,
): Promise<OpenedFile> {
  const start = await source.read(0, Math.min(8, source.size));
  const length = headerLength(caller, start, source.size, maxHeader);
  const { entries, metadata } = parseHeader(caller, await source.read(8, 8 + length), source.size);
  const places = new Map<TensorReference, SafetensorsEntry>();
  const named = Array.from(entries, ([name, entry]) => {
    const { dtype, shape } = entry;
    const reference = markReference({ kind: "tensor", dtype, shape } as const);
    places.set(reference, entry);
    return [name, reference] as const;
  });
  const readStored = (reference: TensorReference) => {
    const entry = places.get(reference);
    return entry && readEntry(source, entry);
  };
  const contents = Object.fromEntries(named);
  return { format: "safetensors", contents, metadata, tensors: [...places.keys()], readStored };
}

async function readEntry(source: ByteSource, { dtype, shape, start, end }: SafetensorsEntry) {
  return { dtype, shape, data: viewAs(dtype, await source.read(start, end)) };
}
