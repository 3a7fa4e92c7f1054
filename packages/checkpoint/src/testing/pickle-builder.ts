// Test helpers: pickles and archives put together by hand. No part of the package.
import { crc32 } from "../crc32.ts";

const utf8 = new TextEncoder();

/** Bytes of strings (one character a byte), numbers and byte arrays, one after the other. */
export function bytes(...parts: (string | number | Uint8Array)[]): Uint8Array {
  const pieces = parts.map((part) => {
    if (typeof part === "number") return Uint8Array.of(part);
    return typeof part === "string" ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part;
  });
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** A little-endian number of `size` bytes. */
export function little(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

export const text = (value: string) => {
  const encoded = utf8.encode(value);
  return bytes("X", little(encoded.length, 4), encoded);
};
export const whole = (value: number) => bytes("J", little(value < 0 ? value + 2 ** 32 : value, 4));
export const global = (module: string, name: string) => bytes(`c${module}\n${name}\n`);
export const tuple = (...items: Uint8Array[]) => bytes("(", ...items, "t");
export const call = (callee: Uint8Array, ...args: Uint8Array[]) =>
  bytes(callee, tuple(...args), "R");
export const dict = (...pairs: [Uint8Array, Uint8Array][]) => bytes("}(", ...pairs.flat(), "u");
export const pickle = (value: Uint8Array) => bytes("\x80\x02", value, ".");

export interface TensorText {
  key?: string;
  type?: string;
  count: number;
  offset?: number;
  shape: number[];
  strides: number[];
  /** What `torch._utils.get_tensor_metadata` gives, pickled. */
  metadata?: Uint8Array;
}

/** The call that rebuilds a tensor over storage `key` of `count` elements. */
export function tensor(options: TensorText): Uint8Array {
  const { key = "0", type = "FloatStorage", count, offset = 0, shape, strides, metadata } = options;
  const id = tuple(text("storage"), global("torch", type), text(key), text("cpu"), whole(count));
  return call(
    global("torch._utils", "_rebuild_tensor_v2"),
    bytes(id, "Q"),
    whole(offset),
    tuple(...shape.map(whole)),
    tuple(...strides.map(whole)),
    bytes(0x89),
    call(global("collections", "OrderedDict")),
    ...(metadata ? [metadata] : []),
  );
}

/** A zip archive of uncompressed entries, with right checksums. */
export function zip(files: Record<string, Uint8Array>): Uint8Array {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let at = 0;
  for (const [name, data] of Object.entries(files)) {
    const encoded = utf8.encode(name);
    const sizes = bytes(little(crc32(data), 4), little(data.length, 4), little(data.length, 4));
    const common = bytes(little(0, 8), sizes, little(encoded.length, 2), little(0, 2));
    const entry = bytes("PK\x03\x04", little(0, 2), common, encoded, data);
    central.push(bytes("PK\x01\x02", little(0, 4), common, little(0, 10), little(at, 4), encoded));
    local.push(entry);
    at += entry.length;
  }
  const directory = bytes(...central);
  const count = little(central.length, 2);
  const end = bytes("PK\x05\x06", little(0, 4), count, count);
  return bytes(...local, directory, end, little(directory.length, 4), little(at, 4), little(0, 2));
}

/** What torch.save would write for a pickle and its storages. */
export function archive(data: Uint8Array, storages: Record<string, Uint8Array> = {}): Uint8Array {
  const files = Object.entries(storages).map(([key, value]) => [`a/data/${key}`, value] as const);
  return zip({ "a/data.pkl": data, ...Object.fromEntries(files), "a/version": bytes("3\n") });
}
