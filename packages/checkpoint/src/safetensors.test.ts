import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeSafetensors, encodeSafetensors, saveSafetensors } from "./index.ts";

const float32 = (shape: number[], values: number[]) =>
  ({ dtype: "float32", shape, data: new Float32Array(values) }) as const;

/** A file with the header `json` (padded by nothing) and the data `bytes`. */
function file(json: unknown, data: number[] = []): Uint8Array {
  const header = new TextEncoder().encode(typeof json === "string" ? json : JSON.stringify(json));
  const bytes = new Uint8Array(8 + header.length + data.length);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 8);
  bytes.set(data, 8 + header.length);
  return bytes;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (DmaeError.isInstance(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return "no error";
}

describe("encodeSafetensors", () => {
  test("writes the bytes that the format prescribes", () => {
    const bytes = encodeSafetensors({
      flag: { dtype: "bool", shape: [3], data: new Uint8Array([1, 0, 1]) },
      w: float32([2, 1], [1, -2]),
    });
    const header =
      '{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
      '"flag":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}';
    const padded = Math.ceil(header.length / 8) * 8;
    expect([...bytes.subarray(0, 8)]).toEqual([padded, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + padded)).trimEnd()).toBe(header);
    // 1 = 0x3f800000, -2 = 0xc0000000, little-endian; then the flags
    const values = [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1, 0, 1];
    expect([...bytes.subarray(8 + padded)]).toEqual(values);
  });

  test("round trip keeps values bit for bit, shapes, dtypes and metadata", () => {
    const nan = new Float32Array(new Uint32Array([0x7fc12345, 0x80000000]).buffer);
    const tensors = {
      "a.weight": { dtype: "float32", shape: [2], data: nan },
      steps: { dtype: "int32", shape: [], data: new Int32Array([-7]) },
      empty: float32([0, 3], []),
      'odd "name"\n✓': float32([1], [0.1]),
    } as const;
    const metadata = { recipe: '{"sigma":0.25}', 数: "✓" };
    const decoded = decodeSafetensors(encodeSafetensors(tensors, metadata));
    expect(decoded.metadata).toEqual(metadata);
    expect(decoded.tensors).toEqual(tensors);
    const bits = new Uint32Array(decoded.tensors["a.weight"]!.data.buffer);
    expect([...bits]).toEqual([0x7fc12345, 0x80000000]);
  });

  test("takes a view into a larger buffer", () => {
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const bytes = encodeSafetensors({ x: { dtype: "float32", shape: [2], data } });
    expect([...decodeSafetensors(bytes).tensors.x!.data]).toEqual([1, 2]);
  });

  test("refuses what the format cannot hold", () => {
    for (const [tensor, message] of [
      [null, 'argument encodeSafetensors: "w" must be a tensor { dtype, shape, data }, got null'],
      [3, 'argument encodeSafetensors: "w" must be a tensor { dtype, shape, data }, got number'],
      [{ dtype: "float32", data: new Float32Array(1) }, /^shape .*whole sizes, got undefined/],
      [float32(Array(33).fill(1), [1]), /^shape .*may have 32 sizes at most, got 33/],
    ] as const)
      expect(codeOf(() => encodeSafetensors({ w: tensor as never }))).toMatch(message);
    const full = decodeSafetensors(encodeSafetensors({ w: float32(Array(32).fill(1), [7]) }));
    expect(full.tensors.w).toEqual(float32(Array(32).fill(1), [7]));
    const wrong = { x: { dtype: "float32", shape: [3], data: new Float32Array(2) } } as const;
    expect(codeOf(() => encodeSafetensors(wrong))).toBe(
      'shape encodeSafetensors: "x" is float32 [3] and needs a Float32Array of 3, got Float32Array of 2',
    );
    expect(codeOf(() => encodeSafetensors({ __metadata__: float32([], [1]) }))).toMatch(
      /^argument/,
    );
    const count = { epoch: 3 } as unknown as Record<string, string>;
    expect(codeOf(() => encodeSafetensors({}, count))).toMatch(
      /^argument .* got number for "epoch"; use JSON.stringify/,
    );
  });
});

describe("decodeSafetensors", () => {
  const entry = (dtype: string, shape: number[], start: number, end: number) => ({
    dtype,
    shape,
    data_offsets: [start, end],
  });

  test("widens float16 and bfloat16 exactly, rounds float64, checks int64", () => {
    const bytes = encodeSafetensors({
      // 1.5, the smallest subnormal 2^-24, the largest 65504, -0, -infinity
      half: {
        dtype: "float16",
        shape: [5],
        data: new Uint16Array([0x3e00, 0x0001, 0x7bff, 0x8000, 0xfc00]),
      },
      brain: { dtype: "bfloat16", shape: [2], data: new Uint16Array([0x3fc0, 0xff80]) },
      double: { dtype: "float64", shape: [1], data: new Float64Array([0.1]) },
      long: { dtype: "int64", shape: [2], data: new BigInt64Array([-1n, 2147483647n]) },
      byte: { dtype: "uint8", shape: [1], data: new Uint8Array([200]) },
    });
    const { tensors } = decodeSafetensors(bytes);
    expect([...tensors.half!.data]).toEqual([1.5, 2 ** -24, 65504, -0, -Infinity]);
    expect([...tensors.brain!.data]).toEqual([1.5, -Infinity]);
    expect([...tensors.double!.data]).toEqual([Math.fround(0.1)]);
    expect(tensors.long).toEqual({
      dtype: "int32",
      shape: [2],
      data: new Int32Array([-1, 2147483647]),
    });
    expect([...tensors.byte!.data]).toEqual([200]);
    const large = { dtype: "int64", shape: [1], data: new BigInt64Array([2147483648n]) } as const;
    expect(codeOf(() => decodeSafetensors(encodeSafetensors({ n: large })))).toMatch(
      /^numeric .*must fit int32, got 2147483648 in "n"/,
    );
  });

  test("a node Buffer is read as bytes are, aligned or not, and is copied", () => {
    for (const padding of ["", " ", "  ", "   "]) {
      const header = { a: entry("U8", [1], 0, 1), w: entry("F32", [2], 1, 9) };
      const bytes = file(JSON.stringify(header) + padding, [7, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
      const buffer = Buffer.from(bytes);
      const { tensors } = decodeSafetensors(buffer);
      buffer.fill(0);
      expect(tensors).toEqual(decodeSafetensors(bytes).tensors);
      expect([...tensors.w!.data]).toEqual([1, -2]);
      expect([...tensors.a!.data]).toEqual([7]);
    }
  });

  test("all 65536 float16 values widen as arithmetic says", () => {
    const data = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const half = { dtype: "float16", shape: [65536], data } as const;
    const values = decodeSafetensors(encodeSafetensors({ half })).tensors.half!.data;
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const sign = bits & 0x8000 ? -1 : 1;
      let expected = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
      if (exponent === 0) expected = sign * fraction * 2 ** -24;
      if (exponent === 31) expected = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      if (!Object.is(values[bits], expected)) expect.fail(`${bits}: ${values[bits]} ${expected}`);
    }
  });

  test.each([
    ["too short", new Uint8Array(4), /^file .*at least 8 bytes, got 4/],
    ["a header longer than the file", file({}).subarray(0, 9), /^file .*ends at byte 10/],
    ["a huge header", new Uint8Array(16).fill(255), /^file .*announces 18446744073709551615/],
    ["no JSON", file("{"), /^file .*not JSON/],
    ["no UTF-8", file({}).fill(0xff, 8), /^file .*not UTF-8/],
    ["an array", file([]), /^file .*must be a JSON object/],
    ["truncation", file({ a: entry("F32", [2], 0, 8) }, [0, 0]), /^file .*truncated/],
    ["bytes left over", file({ a: entry("U8", [1], 0, 1) }, [0, 0]), /^file .*damaged/],
    [
      "a size that does not fit",
      file({ a: entry("F32", [2], 0, 4) }, [0, 0, 0, 0]),
      /^file .*takes 8/,
    ],
    [
      "an unknown dtype",
      file({ a: entry("F8_E4M3", [1], 0, 1) }, [0]),
      /^unsupported .*"F8_E4M3"; known/,
    ],
    ["a negative size", file({ a: entry("U8", [-1], 0, 0) }), /^file .*sizes >= 0/],
    [
      "a fractional offset",
      file({ a: entry("U8", [1], 0.5, 1.5) }, [0, 0]),
      /^file .*data_offsets/,
    ],
    [
      "an overlap",
      file({ a: entry("U8", [2], 0, 2), b: entry("U8", [2], 1, 3) }, [0, 0, 0]),
      /^file .*overlap/,
    ],
    [
      "a hole",
      file({ a: entry("U8", [1], 0, 1), b: entry("U8", [1], 2, 3) }, [0, 0, 0]),
      /^file .*hole/,
    ],
    [
      "a name that comes twice",
      file(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        [0, 0],
      ),
      /^file .*the key "a" twice/,
    ],
    [
      "a dtype nested deep",
      file(`{"a":{"dtype":${"[".repeat(1e5)}${"]".repeat(1e5)}}}`),
      /^file .*more than 64 deep/,
    ],
    [
      "metadata that are no strings",
      file({ __metadata__: { a: 1 } }),
      /^file .*strings to strings/,
    ],
    [
      "a shape whose product overflows",
      file({ a: entry("U8", Array(32).fill(2 ** 52), 0, 0) }),
      /^file/,
    ],
  ])("refuses %s", (_, bytes, message) => {
    expect(codeOf(() => decodeSafetensors(bytes))).toMatch(message);
  });
});

describe("saveSafetensors", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "safetensors-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("replaces a file in one step and leaves nothing beside it", async () => {
    const path = join(folder, "model.safetensors");
    await writeFile(path, "old");
    await saveSafetensors(path, { x: float32([2], [1, 2]) }, { seed: "1" });
    const bytes = await readFile(path);
    expect(
      Buffer.compare(bytes, encodeSafetensors({ x: float32([2], [1, 2]) }, { seed: "1" })),
    ).toBe(0);
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });

  test("a failed write keeps the old file and says why", async () => {
    await expect(saveSafetensors(join(folder, "none", "x"), {})).rejects.toMatchObject({
      code: "file",
      message: expect.stringContaining("saveSafetensors: cannot write"),
    });
    await expect(saveSafetensors(folder, {})).rejects.toMatchObject({ code: "file" });
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });
});
