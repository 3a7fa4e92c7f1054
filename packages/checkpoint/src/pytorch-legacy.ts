import { DmaeError } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";
import type { PickleStorage, PickleValue } from "./pickle-values.ts";
import type { PytorchContainer, PytorchLimits, StorageBytes } from "./pytorch-container.ts";
import { damagedPickle, unpickle } from "./unpickle.ts";

/** The first pickle of every such file. */
const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/** Bytes of the number of elements in front of each storage. */
const countBytes = 8;

/**
 * What `torch.save` wrote before PyTorch 1.6, and still does on demand: five pickles (magic number,
 * protocol, facts about the machine, the object, the keys of its storages), then the storages in the
 * order of their keys, each behind its number of elements.
 *
 * @internal
 */
export async function openPytorchLegacy(
  caller: string,
  source: ByteSource,
  limits: PytorchLimits,
): Promise<PytorchContainer> {
  const { root, storages, keys, end } = await readPickles(caller, source, limits);
  const places = new Map<string, StorageBytes>();
  let position = end;
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage || places.has(key))
      throw damagedPickle(caller, `it lists the storage ${JSON.stringify(key)}, which is no key`);
    const start = position + countBytes;
    position = start + storage.byteLength;
    places.set(key, storageBytes(caller, source, start, storage));
  }
  if (position !== source.size)
    throw new DmaeError(
      "file",
      `${caller}: the storages end at byte ${position}, but the file has ${source.size}; it is ${position > source.size ? "truncated" : "damaged"}`,
      { expected: position, received: source.size },
    );
  return { root, storage: ({ key }) => places.get(key) };
}

interface Pickles {
  readonly root: PickleValue;
  readonly storages: ReadonlyMap<string, PickleStorage>;
  readonly keys: readonly string[];
  readonly end: number;
}

/** Reads more and more of the file until the five pickles are whole: nothing says how long they are. */
async function readPickles(
  caller: string,
  source: ByteSource,
  limits: PytorchLimits,
): Promise<Pickles> {
  const most = Math.min(source.size, limits.maxHeader);
  for (let length = 1 << 16; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, most));
    try {
      return parsePickles(caller, bytes, limits);
    } catch (error) {
      if (!DmaeError.isInstance(error) || error.details.isCut !== true) throw error;
      if (bytes.length === source.size) throw error;
      if (bytes.length === most)
        throw new DmaeError(
          "file",
          `${caller}: the pickles may have ${most} bytes at most, these are longer; maxHeaderBytes raises the cap`,
        );
    }
  }
}

function parsePickles(caller: string, bytes: Uint8Array, limits: PytorchLimits): Pickles {
  let position = 0;
  const next = () => {
    const pickle = unpickle(caller, bytes, limits, position);
    position = pickle.end;
    return pickle;
  };
  if (next().value !== magicNumber) throw damagedPickle(caller, "it has another magic number");
  const { value: protocol } = next();
  if (protocol !== protocolVersion)
    throw damagedPickle(caller, `its protocol must be ${protocolVersion}, got ${String(protocol)}`);
  checkMachine(caller, next().value);
  const { value: root, storages } = next();
  const { value: keys } = next();
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string"))
    throw damagedPickle(caller, "it lists no keys of storages");
  return { root, storages, keys, end: position };
}

/** `{ protocol_version, little_endian, type_sizes }`; the sizes are those of C and of no use. */
function checkMachine(caller: string, facts: PickleValue): void {
  const isLittle = facts instanceof Map ? facts.get("little_endian") : undefined;
  if (isLittle === true) return;
  if (isLittle !== false) throw damagedPickle(caller, "it does not say its byte order");
  throw new DmaeError(
    "unsupported",
    `${caller}: byte order must be little, got "big"; save the file again with PyTorch on a little-endian machine`,
  );
}

function storageBytes(
  caller: string,
  source: ByteSource,
  start: number,
  { key, total, byteLength }: PickleStorage,
): StorageBytes {
  let isChecked = false;
  const check = async () => {
    const bytes = await source.read(start - countBytes, start);
    const count = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
    if (count !== BigInt(total))
      throw new DmaeError(
        "file",
        `${caller}: the file is damaged: storage ${JSON.stringify(key)} must have ${total} elements, got ${count}`,
      );
    isChecked = true;
  };
  return {
    size: byteLength,
    read: async (from, to) => {
      if (!isChecked) await check();
      return source.read(start + from, start + to);
    },
  };
}
