import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { DmaeError } from "@dmae/core";
import { describe, expect, test } from "vitest";
import { loadCheckpoint } from "./index.ts";
import {
  bytes,
  call,
  dict,
  global,
  little,
  pickle,
  text,
  tuple,
  whole,
} from "./testing/pickle-builder.ts";

const fixture = (name: string) => new URL(`./__fixtures__/${name}`, import.meta.url);
const file = new Uint8Array(readFileSync(fixture("legacy.pth")));

async function refused(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (!DmaeError.isInstance(error)) throw error ?? new Error("nothing was thrown");
  return `${error.code}: ${error.message}`;
}

test("every tensor is what PyTorch reads, bit for bit", async () => {
  const checkpoint = await loadCheckpoint(fixture("legacy.pth"));
  const expected = JSON.parse(readFileSync(fixture("legacy.json"), "utf8"));
  const found: Record<string, unknown> = {};
  for (const name of checkpoint.names) {
    const { dtype, shape, data } = await checkpoint.readExact(name);
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    found[name] = { dtype, shape, sha256: createHash("sha256").update(raw).digest("hex") };
  }
  expect(found).toEqual(expected);
  const { epoch, arch, best_acc } = checkpoint.contents;
  expect({ epoch, arch }).toEqual({ epoch: 90, arch: "cifar_resnet110" });
  expect([...(await checkpoint.read(best_acc as never)).data]).toEqual([71.25]);
});

/** What torch.save wrote before 1.6 for an object and its storages of four bytes an element. */
function legacy(
  value: Uint8Array,
  storages: readonly (readonly [key: string, values: number[]])[],
  { little: isLittle = true, protocol = 1001 } = {},
): Uint8Array {
  const magic = bytes(0x8a, 10, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  const facts = dict(
    [text("protocol_version"), bytes("M", little(1001, 2))],
    [text("little_endian"), bytes(isLittle ? 0x88 : 0x89)],
  );
  const keys = bytes("](", ...storages.map(([key]) => text(key)), "e");
  return bytes(
    ...[magic, bytes("M", little(protocol, 2)), facts, value, keys].map(pickle),
    ...storages.map(([, values]) =>
      bytes(little(values.length, 8), new Uint8Array(Float32Array.from(values).buffer)),
    ),
  );
}

function tensorOf(id: Uint8Array[], offset: number, shape: number[], strides: number[]) {
  return call(
    global("torch._utils", "_rebuild_tensor_v2"),
    bytes(tuple(text("storage"), global("torch", "FloatStorage"), ...id), "Q"),
    whole(offset),
    tuple(...shape.map(whole)),
    tuple(...strides.map(whole)),
    bytes(0x89),
    call(global("collections", "OrderedDict")),
  );
}

const id = (key: string, count: number) => [text(key), text("cpu"), whole(count)];
const two = dict(
  [text("a"), tensorOf([...id("x", 4), bytes("N")], 1, [3], [1])],
  [text("b"), tensorOf([...id("y", 2), bytes("N")], 0, [2], [1])],
);
const values: [string, number[]][] = [
  ["y", [5, 6]],
  ["x", [1, 2, 3, 4]],
];

describe("files put together by hand", () => {
  test("storages lie in the order of their keys", async () => {
    const { a, b } = await (await loadCheckpoint(legacy(two, values))).readAll();
    expect([[...a!.data], [...b!.data]]).toEqual([
      [2, 3, 4],
      [5, 6],
    ]);
  });

  test("a view of a storage, as the first versions wrote", async () => {
    const view = tuple(text("view"), whole(2), whole(3));
    const of = (offset: number, size: number) =>
      legacy(dict([text("v"), tensorOf([...id("x", 6), view], offset, [size], [1])]), [
        ["x", [0, 1, 2, 3, 4, 5]],
      ]);
    const { v } = await (await loadCheckpoint(of(1, 2))).readAll();
    expect([...v!.data]).toEqual([3, 4]);
    expect(await refused(loadCheckpoint(of(1, 3)))).toMatch(/reaches element 3 of a storage of 3/);
  });

  test("a pickle longer than the first read", async () => {
    const long = dict(
      [text("note"), text("x".repeat(300_000))],
      [text("a"), tensorOf([...id("x", 1)], 0, [1], [1])],
    );
    const whole = legacy(long, [["x", [7]]]);
    const checkpoint = await loadCheckpoint(whole);
    expect([...(await checkpoint.read("a")).data]).toEqual([7]);
    const capped = loadCheckpoint(whole, { maxHeaderBytes: 100_000 });
    expect(await refused(capped)).toMatch(
      /may have 100000 bytes at most, these are longer; maxHeaderBytes/,
    );
  });

  test("classes are refused by name, all of them, also beyond the first read", async () => {
    const run = call(global("posix", "system"), text("x".repeat(100_000)));
    const value = dict([text("a"), run], [text("b"), call(global("os", "nice"), whole(1))]);
    expect(await refused(loadCheckpoint(legacy(value, [])))).toMatch(
      /^unsupported.*posix\.system, os\.nice/,
    );
  });

  test.each([
    ["big-endian", legacy(two, values, { little: false }), /^unsupported.*byte order/],
    [
      "another protocol",
      legacy(two, values, { protocol: 1002 }),
      /protocol must be 1001, got 1002/,
    ],
    ["cut off", legacy(two, values).slice(0, -1), /^file.*it is truncated/],
    ["cut off in a pickle", legacy(two, values).slice(0, 40), /^file.*ends in the middle/],
    ["bytes at the end", bytes(legacy(two, values), 0), /^file.*it is damaged/],
    ["a storage that is not there", legacy(two, values.slice(0, 1)), /lacks the storage "x"/],
    ["a key without tensors", legacy(two, [...values, ["z", []]]), /lists the storage "z"/],
    ["a key twice", legacy(two, [...values, values[0]!]), /lists the storage "y"/],
    [
      "two sizes for one storage",
      legacy(
        dict(
          [text("a"), tensorOf([...id("x", 4)], 0, [1], [1])],
          [text("b"), tensorOf([...id("x", 5)], 0, [1], [1])],
        ),
        [["x", [1, 2, 3, 4]]],
      ),
      /gives storage "x" two sizes/,
    ],
    [
      "a count that nothing can hold",
      legacy(
        dict([
          text("a"),
          tensorOf(
            [text("x"), text("cpu"), bytes(0x8a, 6, "\xff\xff\xff\xff\xff\x7f")],
            0,
            [1],
            [1],
          ),
        ]),
        [["x", [1]]],
      ),
      /it is truncated/,
    ],
  ])("refused: %s", async (_, data, message) => {
    expect(await refused(loadCheckpoint(data))).toMatch(message);
  });

  test("another count in front of a storage is noticed when it is read", async () => {
    const data = legacy(two, values);
    data[data.length - 24] = 3; // of the storage x, the last one
    const checkpoint = await loadCheckpoint(data);
    expect([...(await checkpoint.read("b")).data]).toEqual([5, 6]);
    expect(await refused(checkpoint.read("a"))).toMatch(/"x" must have 4 elements, got 3/);
  });
});

test("the fixture cut off anywhere is an error", async () => {
  for (let end = 0; end < file.length; end += 37)
    expect(await refused(loadCheckpoint(file.slice(0, end)))).toMatch(/^(file|unsupported)/);
});
