import { DmaeError } from "@dmae/core";
import { describe, expect, test } from "vitest";
import { bytesSource } from "./byte-source.ts";
import { crc32 } from "./crc32.ts";
import { loadCheckpoint } from "./index.ts";
import { archive, bytes, little, pickle, tensor, zip } from "./testing/pickle-builder.ts";
import { readZipDirectory } from "./zip-directory.ts";
import { openZip } from "./zip-read.ts";

const empty = pickle(bytes("}"));
const encode = (text: string) => new TextEncoder().encode(text);

async function refused(file: Uint8Array): Promise<string> {
  const error = await loadCheckpoint(file, { select: [] }).then(
    () => undefined,
    (reason) => reason,
  );
  if (!DmaeError.isInstance(error)) throw error ?? new Error("nothing was thrown");
  return `${error.code}: ${error.message}`;
}

/** A copy of `file` with `value` written at each place where `pattern` starts, plus `offset`. */
function patch(file: Uint8Array, pattern: string, offset: number, value: Uint8Array): Uint8Array {
  const out = file.slice();
  const wanted = bytes(pattern);
  for (let i = 0; i + wanted.length <= out.length; i++)
    if (wanted.every((byte, k) => out[i + k] === byte)) out.set(value, i + offset);
  return out;
}

const central = "PK\x01\x02";

describe("archives that torch.save does not write", () => {
  test.each([
    ["no data.pkl", zip({ "a/version": encode("3\n") }), /one data\.pkl, this one has 0/],
    ["two of them", zip({ "a/data.pkl": empty, "b/data.pkl": empty }), /this one has 2/],
    [
      "TorchScript",
      zip({ "a/data.pkl": empty, "a/constants.pkl": empty }),
      /^unsupported.*TorchScript program.*torch\.jit\.load/,
    ],
    [
      "big-endian",
      zip({ "a/data.pkl": empty, "a/byteorder": encode("big") }),
      /^unsupported.*byte order must be little, got "big"/,
    ],
    ["deflate", patch(archive(empty), central, 10, little(8, 2)), /^unsupported.*is compressed/],
    ["encryption", patch(archive(empty), central, 8, little(1, 2)), /^unsupported.*encrypted/],
  ])("%s", async (_, file, message) => {
    expect(await refused(file)).toMatch(message);
  });
});

describe("damage", () => {
  test.each([
    [
      "an entry name that is not UTF-8",
      patch(archive(empty), central, 46, bytes(0xff)),
      /not UTF-8/,
    ],
    ["an offset into another entry", patch(archive(empty), central, 42, little(20, 4)), /reaching/],
    [
      "an offset where no entry is",
      patch(archive(empty), central, 42, little(1, 4)),
      /reaching|no entry/,
    ],
    ["a size beyond the file", patch(archive(empty), central, 24, little(9999, 4)), /two sizes/],
    ["no end record", archive(empty).slice(0, -22), /no end record/],
    [
      "a count too high",
      patch(archive(empty), "PK\x05\x06", 10, little(9, 2)),
      /no directory record 2 of 9/,
    ],
    [
      "a count too low",
      patch(archive(empty), "PK\x05\x06", 10, little(1, 2)),
      /longer than its records/,
    ],
    [
      "a directory beyond the file",
      patch(archive(empty), "PK\x05\x06", 16, little(2 ** 31, 4)),
      /a directory of 2 entries/,
    ],
    [
      "a cut record",
      patch(archive(empty), central, 32, little(60000, 2)),
      /a cut directory record/,
    ],
    ["a cut extra field", patch(archive(empty), central, 30, little(7, 2)), /damaged/],
    [
      "a size that must be wide and is not",
      patch(archive(empty), central, 42, little(0xffffffff, 4)),
      /no zip64 size/,
    ],
    [
      "local headers overwritten",
      patch(archive(empty), "PK\x03\x04\x00", 2, little(0, 2)),
      /neither|no entry/,
    ],
  ])("%s", async (_, file, message) => {
    expect(await refused(file)).toMatch(message);
  });

  test("two entries of one name", async () => {
    const file = zip({ "a/data.pkl": empty, "a/data.pkX": empty });
    expect(await refused(patch(file, "data.pkX", 7, bytes("l")))).toMatch(/two entries named/);
  });
});

test("sizes and offsets of zip64 are read from the extra field", async () => {
  const data = encode("hello");
  const name = "a/x";
  const local = bytes(
    "PK\x03\x04",
    little(0, 10),
    little(crc32(data), 4),
    little(5, 4),
    little(5, 4),
  );
  const entry = bytes(local, little(name.length, 2), little(0, 2), name, data);
  const extra = bytes(little(9, 2), little(1, 2), 0, little(1, 2), little(24, 2)); // one unknown field before
  const values = bytes(little(5, 8), little(5, 8), little(0, 8));
  const wide = bytes(little(0xffffffff, 4), little(0xffffffff, 4));
  const directory = bytes(
    bytes(central, little(0, 12), little(crc32(data), 4), wide),
    bytes(little(name.length, 2), little(extra.length + values.length, 2), little(0, 10)),
    bytes(little(0xffffffff, 4), name, extra, values),
  );
  const end = bytes("PK\x05\x06", little(0, 4), little(1, 2), little(1, 2));
  const tail = bytes(little(directory.length, 4), little(entry.length, 4), little(0, 2));
  const source = bytesSource(bytes(entry, directory, end, tail));
  const { entries } = await readZipDirectory("test", source, 1000);
  expect(entries.get(name)).toMatchObject({ size: 5, start: 0, end: entry.length });
  const archived = await openZip("test", source, 1000);
  expect(await archived.read(archived.entries.get(name)!, 1, 4)).toEqual(encode("ell"));
});

test("a directory larger than the cap is not read", async () => {
  const file = archive(pickle(tensor({ count: 1, shape: [1], strides: [1] })), {
    0: new Uint8Array(4),
  });
  await expect(loadCheckpoint(file, { maxHeaderBytes: 100 })).rejects.toThrow(
    /directory of 3 entries/,
  );
});
