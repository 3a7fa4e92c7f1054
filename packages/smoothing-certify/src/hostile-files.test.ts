// Files that somebody made to harm the reader: each is a typed error, soon and in little memory.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { fromOnnx } from "./classifier/from-onnx.ts";
import { fromModelJson } from "./classifier/model-json.ts";
import { readOnnxGraph } from "./classifier/onnx-graph.ts";
import { readLog } from "./log/log-file.ts";
import { formatHeader } from "./log/log-format.ts";
import { parseLog } from "./log/log-reader.ts";

const scratch = () => mkdtempSync(join(tmpdir(), "hostile-"));
const message = async (work: Promise<unknown>) => (await failure(work, "file")).message;
const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
const page = "<!DOCTYPE html><html><body>sign in</body></html>";

describe("model.json", () => {
  const weight = { name: "w", shape: [2], dtype: "float32" };
  const write = (manifest: unknown, folder = scratch()) => {
    const file = join(folder, "model.json");
    const json = { format: "graph-model", modelTopology: { node: [] }, weightsManifest: manifest };
    writeFileSync(file, JSON.stringify(json));
    return file;
  };

  test.each([
    "../w.bin",
    "/dev/zero",
    "a/../../w.bin",
    "..\\w.bin",
    "C:\\w.bin",
    "file:///w",
    "",
    7,
    "a\0b",
  ])("weights in %j are outside its folder", async (path) => {
    const file = write([{ paths: [path], weights: [weight] }]);
    expect(await message(fromModelJson(file))).toMatch(/must lie in the folder of model\.json/);
  });

  test("weights that are a device, a pipe, a folder, twice the same, too long or too short", async () => {
    const folder = scratch();
    const file = write([{ paths: ["w.bin"], weights: [{ ...weight, shape: [0] }] }], folder);
    symlinkSync("/dev/zero", join(folder, "w.bin"));
    expect(await message(fromModelJson(file))).toMatch(/no regular file/);
    execFileSync("mkfifo", [join(folder, "p.bin")]);
    write([{ paths: ["p.bin"], weights: [{ ...weight, shape: [0] }] }], folder);
    expect(await message(fromModelJson(file))).toMatch(/no regular file/);
    mkdirSync(join(folder, "d.bin"));
    write([{ paths: ["d.bin"], weights: [{ ...weight, dtype: "string" }] }], folder);
    expect(await message(fromModelJson(file))).toMatch(/a folder/);
    writeFileSync(join(folder, "v.bin"), new Uint8Array(4));
    write([{ paths: ["v.bin", "v.bin"], weights: [weight] }], folder);
    expect(await message(fromModelJson(file))).toMatch(/a weight file twice/);
    write([{ paths: ["v.bin"], weights: [weight] }], folder);
    expect(await message(fromModelJson(file))).toMatch(/take 8 bytes, but their files have 4/);
    write([{ paths: ["v.bin"], weights: [{ ...weight, shape: [2 ** 40, 2 ** 40] }] }], folder);
    expect(await message(fromModelJson(file))).toMatch(/bytes, but their files have 4/);
  });

  test.each([
    [{}],
    [[null]],
    [[{ paths: "w.bin", weights: [] }]],
    [[{ paths: [], weights: [{}] }]],
  ])("a manifest %j", async (manifest) => {
    expect(await message(fromModelJson(write(manifest)))).toMatch(/must list paths and weights/);
  });

  test("nesting, a key twice, a pointer, a page, a folder, a pipe", async () => {
    const file = write([]);
    const read = (text: string) => {
      writeFileSync(file, text);
      return message(fromModelJson(file));
    };
    expect(await read(`{"modelTopology":${"[".repeat(1e6)}`)).toMatch(/more than 128 deep/);
    expect(await read('{"modelTopology":{},"modelTopology":{}}')).toMatch(/"modelTopology" twice/);
    expect(await read(pointer)).toMatch(/Git LFS pointer.*git lfs pull/);
    expect(await read(page)).toMatch(/a web page/);
    expect(await message(fromModelJson(scratch()))).toMatch(/a folder/);
    const pipe = join(scratch(), "model.json");
    execFileSync("mkfifo", [pipe]);
    expect(await message(fromModelJson(pipe))).toMatch(/no regular file/);
  });
});

describe("ONNX", () => {
  /** A protobuf field of bytes. */
  const field = (number: number, ...parts: (Uint8Array | string)[]): Buffer => {
    const contents = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const length: number[] = [];
    let left = contents.length;
    for (; left > 127; left = Math.floor(left / 128)) length.push((left % 128) + 128);
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length, left]), contents]);
  };
  const location = (path: string) => field(13, field(1, "location"), field(2, path));

  test("weights outside the folder, in every place that holds a tensor", async () => {
    for (const path of ["../w.bin", "/etc/passwd", "a/../../w"]) {
      const tensor = location(path);
      const places = [
        field(5, tensor),
        field(15, field(1, tensor)),
        field(1, field(5, field(5, tensor))),
        field(1, field(2, "y"), field(5, field(5, tensor))),
        field(1, field(5, field(10, tensor))),
        field(1, field(5, field(6, field(5, tensor)))),
      ];
      for (const place of places)
        expect(await message(fromOnnx(new Uint8Array(field(7, place))))).toMatch(
          /must lie in the folder of the model/,
        );
    }
    const inside = readOnnxGraph(field(7, field(5, location("weights/w.bin"))));
    expect(inside).toMatchObject({ nodes: [], weightFiles: new Set(["weights/w.bin"]) });
  });

  test("a number without an end, a million nodes, deep nesting", async () => {
    const number = Buffer.concat([Buffer.from([58]), Buffer.alloc(1000, 128), Buffer.from([1])]);
    expect(() => readOnnxGraph(number)).toThrow(/more than ten bytes/);
    const nodes = Buffer.alloc(2_000_004);
    for (let i = 0; i < nodes.length; i += 2) nodes[i] = 10;
    expect(() => readOnnxGraph(field(7, nodes))).toThrow(/more than 1000000 nodes/);
    let deep: Buffer = Buffer.alloc(0);
    for (let i = 0; i < 3000; i++) deep = field(1, field(5, field(6, deep)));
    expect(await message(fromOnnx(new Uint8Array(field(7, deep))))).toMatch(/cannot load/);
  });

  test("a pointer, a page, a pipe, as a file and as bytes", async () => {
    const file = join(scratch(), "m.onnx");
    writeFileSync(file, pointer);
    expect(await message(fromOnnx(file))).toMatch(/Git LFS pointer.*git lfs pull/);
    writeFileSync(file, page);
    expect(await message(fromOnnx(file))).toMatch(/a web page/);
    expect(await message(fromOnnx(new TextEncoder().encode(pointer)))).toMatch(/Git LFS pointer/);
    const pipe = join(scratch(), "m.onnx");
    execFileSync("mkfifo", [pipe]);
    expect(await message(fromOnnx(pipe))).toMatch(/no regular file/);
  });
});

describe("logs", () => {
  const line = (idx: number, counts: string, settings = "{}") =>
    `${[idx, 0, -1, 0, 0, "0:00:01", 0, counts.includes(":") ? 2000 : 0, counts, counts, 0.5, 0.001, 1000, 1000, 0, "", settings].join("\t")}\n`;

  test("forged numbers of classes are capped in total", () => {
    const rows = Array.from({ length: 4000 }, (_, i) => line(i, "99999;"));
    expect(() => parseLog(formatHeader(true) + rows.join(""))).toThrow(
      /which the log is too short for/,
    );
    const sparse = Array.from({ length: 200 }, (_, i) => line(i, "1000;3:997,5:3"));
    expect(parseLog(formatHeader(true) + sparse.join(""))).toHaveLength(200);
  });

  test("settings are an object of plain values, each once", () => {
    for (const settings of ['{"a":1,"a":2}', '{"a":[]}', "[]", "null", "[".repeat(1e5)])
      expect(() => parseLog(formatHeader(true) + line(0, "1;", settings))).toThrow(
        /settings must be a JSON object/,
      );
  });

  test("a compressed log that unpacks to gigabytes, a pointer, a page, a pipe, a folder", async () => {
    const folder = scratch();
    const file = join(folder, "log.tsv.gz");
    writeFileSync(file, gzipSync(Buffer.alloc(200_000_000)));
    expect(await message(readLog(file))).toMatch(/a line may have 16777216 characters at most/);
    const lines = Buffer.alloc(60_000_000, `${" ".repeat(999)}\n`);
    writeFileSync(file, gzipSync(Buffer.concat([Buffer.from(formatHeader(false)), lines])));
    expect(await message(readLog(file))).toMatch(/cannot read .*unpacks to more than \d{8} bytes/);
    const plain = join(folder, "log.tsv");
    writeFileSync(plain, pointer);
    expect(await message(readLog(plain))).toMatch(/Git LFS pointer/);
    writeFileSync(plain, page);
    expect(await message(readLog(plain))).toMatch(/a web page/);
    expect(await message(readLog(folder))).toMatch(/a folder/);
    execFileSync("mkfifo", [join(folder, "pipe")]);
    expect(await message(readLog(join(folder, "pipe")))).toMatch(/no regular file/);
  });
});
