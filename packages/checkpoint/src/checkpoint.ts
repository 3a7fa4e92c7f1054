import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";
import { type StoredSpec, type StoredTensor, toHostTensor } from "./dtypes.ts";
import type { PlainRecord, TensorReference } from "./plain-value.ts";
import type { Metadata } from "./safetensors.ts";
import { stateDict } from "./state-dict.ts";
import { checkTotalSize, withMemory } from "./tensor-budget.ts";

/** A checkpoint whose tensors are read when asked for. Between reads no file is open. */
export interface Checkpoint {
  /** How the file is written. */
  readonly format: "pytorch" | "safetensors";
  /** Names of the model's tensors, in the order of the file. */
  readonly names: readonly string[];
  /**
   * Everything in the file as plain data: epoch, args, optimizer, with references to tensors. What is no
   * dictionary lies under `value`.
   */
  readonly contents: PlainRecord;
  /** The text that a safetensors file carries; empty for other formats. */
  readonly metadata: Metadata;
  /** Element type and shape of a tensor, without reading it. */
  spec(name: string): StoredSpec;
  /**
   * A tensor as host memory that the caller owns: float16 and bfloat16 widened exactly to float32,
   * float64 rounded to it, integers as int32 (checked).
   */
  read(tensor: string | TensorReference): Promise<HostTensor>;
  /** A tensor exactly as the file stores it. */
  readExact(tensor: string | TensorReference): Promise<StoredTensor>;
  /** The tensors `names`, by default all of the model's. */
  readAll(names?: readonly string[]): Promise<HostTensors>;
  /** Ends reading: later reads are errors, and memory that the source holds can be freed. */
  close(): Promise<void>;
}

/** What a reader of one format gives. @internal */
export interface OpenedFile {
  readonly format: Checkpoint["format"];
  readonly contents: PlainRecord;
  readonly metadata: Metadata;
  /** All tensors, each once. */
  readonly tensors: readonly TensorReference[];
  /** Reads a tensor of this file; undefined for any other. */
  readStored(reference: TensorReference): Promise<StoredTensor> | undefined;
}

/** @internal */
export function makeCheckpoint(
  caller: string,
  source: ByteSource,
  file: OpenedFile,
  select: string | readonly string[] | null | undefined,
): Checkpoint {
  checkTotalSize(caller, source.label, source.size, file.tensors);
  const model = stateDict(caller, file.contents, select);
  checkTotalSize(caller, source.label, source.size, model.values());
  let closed = false;

  const find = (name: string): TensorReference => {
    const reference = model.get(name);
    if (reference) return reference;
    throw new DmaeError(
      "checkpoint",
      `checkpoint: ${source.label} has no tensor "${name}"; it has ${listed([...model.keys()])}`,
      { name },
    );
  };

  const readAs = <T>(
    tensor: string | TensorReference,
    convert: (name: string, stored: StoredTensor) => T,
  ): Promise<T> => {
    if (closed) throw new DmaeError("argument", `checkpoint: ${source.label} is closed already`);
    const name = typeof tensor === "string" ? tensor : "that tensor";
    const reference = typeof tensor === "string" ? find(tensor) : tensor;
    return withMemory("checkpoint", name, reference, async () => {
      const stored = await file.readStored(reference);
      if (stored) return convert(name, stored);
      throw new DmaeError("argument", "checkpoint: that tensor is of another file");
    });
  };

  const readExact: Checkpoint["readExact"] = async (tensor) =>
    readAs(tensor, (_, stored) => stored);

  const read: Checkpoint["read"] = async (tensor) =>
    readAs(tensor, (name, stored) => toHostTensor("checkpoint", name, stored));

  return {
    format: file.format,
    contents: file.contents,
    metadata: file.metadata,
    names: [...model.keys()],
    spec: (name) => {
      const { dtype, shape } = find(name);
      return { dtype, shape };
    },
    read,
    readExact,
    readAll: async (names = [...model.keys()]) => {
      for (const name of names) find(name);
      const entries = await mapParallel(names, source.parallelReads, read);
      return Object.fromEntries(entries.map((tensor, i) => [names[i]!, tensor]));
    },
    close: async () => {
      if (!closed) await source.close();
      closed = true;
    },
  };
}

function listed(names: readonly string[]): string {
  const more = names.length > 20 ? `, … (${names.length} in all)` : "";
  return names.length === 0 ? "none" : names.slice(0, 20).join(", ") + more;
}

/** `items.map(fn)` with at most `width` calls under way at once. */
async function mapParallel<T, R>(
  items: readonly T[],
  width: number,
  fn: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await fn(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}
