// Files that somebody made to harm the reader: each is a typed error, soon and in little memory.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { key } from "@dmae/core";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { loadCifar10 } from "./cifar.ts";
import { decodeImage } from "./decode.ts";
import { loadImageFolder } from "./image-folder.ts";
import { loadIdx } from "./load-idx.ts";
import { centerCrop } from "./operations.ts";
import { synthetic } from "./synthetic.ts";
import { loadTarShards } from "./tar-shards.ts";
import { writeTarShards } from "./write-tar-shards.ts";

const scratch = temporaryFolders("dmae-hostile");
const small = { transform: [centerCrop(20)], indexFile: false } as const;
const message = async (work: unknown) => (await failure(Promise.resolve(work), "file")).message;
const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
const page = "<!DOCTYPE html><html><body>sign in</body></html>";
const jpeg = () => readFileSync(new URL("./__fixtures__/picture.jpg", import.meta.url));

interface Member {
  readonly name: string;
  readonly data?: Uint8Array | string;
  readonly type?: string;
  /** What the header says instead of the length of the data. */
  readonly size?: number;
}

/** A tar file, with right checksums. */
function tar(...members: Member[]): Buffer {
  const blocks = members.flatMap(({ name, data = "", type = "0", size }) => {
    const contents = Buffer.from(data);
    const header = Buffer.alloc(512);
    header.write(name, 0, "latin1");
    header.write(`${(size ?? contents.length).toString(8).padStart(11, "0")} `, 124, "latin1");
    header.write("        ", 148, "latin1");
    header.write(type, 156, "latin1");
    header.write("ustar\x0000", 257, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return [header, contents, Buffer.alloc(-contents.length & 511)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const pax = (record: string) => `${record.length + 4} ${record}\n`.replace(/^(\d) /, "0$1 ");

function shard(...members: Member[]): string {
  const file = join(scratch(), "one.tar");
  writeFileSync(file, tar(...members));
  return file;
}

describe("tar shards", () => {
  test("a class of a billion", async () => {
    const file = shard({ name: "0.jpg", data: "x" }, { name: "0.cls", data: "999999999" });
    expect(await message(loadTarShards([file], small))).toMatch(/a class below 1048576.*999999999/);
  });

  test("an entry larger than maxBytes is refused before it is read, one beyond 32 bits at once", async () => {
    const file = shard({ name: "0.cls", data: "1" }, { name: "0.jpg", data: jpeg() });
    const data = await loadTarShards([file], { ...small, maxBytes: 1000 });
    expect(await message(data.get(0))).toMatch(/at most 1000 bytes \(maxBytes\)/);
    const hole = shard({ name: "0.cls", data: "1" }, { name: "0.jpg", size: 2 ** 32 + 5 });
    truncateSync(hole, 2 ** 32 + 4096);
    expect(await message(loadTarShards([hole], small))).toMatch(
      /an image of at most 4294967295 bytes, got 4294967301/,
    );
  });

  test("zero bytes in a path of pax", async () => {
    const file = shard(
      { name: "x", type: "x", data: pax("path=a\0b.jpg") },
      { name: "0.jpg", data: jpeg() },
      { name: "0.cls", data: "1" },
    );
    expect(await message(loadTarShards([file], small))).toMatch(/a path without zero bytes/);
  });

  test("a pipe, a folder, a pointer and a page in place of a shard", async () => {
    const folder = scratch();
    const pipe = join(folder, "pipe.tar");
    execFileSync("mkfifo", [pipe]);
    expect(await message(loadTarShards([pipe], small))).toMatch(/is not a file/);
    expect(await message(loadTarShards([folder], small))).toMatch(/is not a file/);
    const file = join(folder, "a.tar");
    writeFileSync(file, pointer.padEnd(600));
    expect(await message(loadTarShards([file], small))).toMatch(/Git LFS pointer.*git lfs pull/);
    writeFileSync(file, page.padEnd(600));
    expect(await message(loadTarShards([file], small))).toMatch(/a web page/);
  });
});

/** A TIFF image of 2x2 pixels with any number of channels. */
function tiff(channels: number): Buffer {
  const fields: [tag: number, count: number, value: number][] = [
    [256, 1, 2], // width
    [257, 1, 2], // height
    [258, channels, 134], // bits per sample: behind this directory
    [259, 1, 1], // not compressed
    [262, 1, 1], // black is zero
    [273, 1, 134 + 2 * channels], // where the pixels start
    [277, 1, channels],
    [278, 1, 2], // rows per strip
    [279, 1, 4 * channels],
  ];
  const head = Buffer.alloc(134);
  head.write("II*\0\x08\0\0\0", 0, "latin1");
  head.writeUInt16LE(fields.length, 8);
  fields.forEach(([tag, count, value], i) => {
    const at = 10 + 12 * i;
    head.writeUInt16LE(tag, at);
    head.writeUInt16LE(3, at + 2); // 16-bit values
    head.writeUInt32LE(count, at + 4);
    head.writeUInt32LE(value, at + 8);
  });
  const bits = Buffer.from(new Uint16Array(channels).fill(8).buffer);
  return Buffer.concat([head, bits, Buffer.alloc(4 * channels)]);
}

describe("images are told apart by their bytes", () => {
  const raw = { width: 3, height: 2, channels: 3 } as const;
  const picture = () => sharp(Buffer.alloc(18, 200), { raw });

  test("JPEG, PNG, WebP, TIFF and GIF", async () => {
    for (const format of ["jpeg", "png", "webp", "tiff", "gif"] as const) {
      const { height, width, channels } = await decodeImage(
        await picture().toFormat(format).toBuffer(),
        format,
      );
      expect([height, width, channels]).toEqual([2, 3, 3]);
    }
  });

  test.each([
    ["SVG", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><filter id="f"/></svg>`],
    ["SVG behind XML", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`],
    ["PDF", "%PDF-1.7\n"],
    ["nothing", ""],
    ["the start of a PNG", "\x89PNG"],
  ])("%s is refused", async (_, text) => {
    const work = decodeImage(Buffer.from(text, "latin1"), "x.png");
    expect(await message(work)).toMatch(/x\.png is not .*JPEG, PNG, WebP, TIFF or GIF/);
  });

  test("too many pixels or channels, a pointer, a page", async () => {
    const many = await sharp({
      create: { width: 3000, height: 3000, channels: 3, background: "red" },
    })
      .png()
      .toBuffer();
    expect(await message(decodeImage(many, "x", { maxPixels: 1e6 }))).toMatch(/pixel limit/);
    expect(await message(decodeImage(tiff(7), "x"))).toMatch(/exceeds channel limit/);
    expect(await message(decodeImage(Buffer.from(pointer), "x"))).toMatch(/git lfs pull/);
    expect(await message(decodeImage(Buffer.from(page), "x"))).toMatch(/a web page/);
  });
});

describe("image folders", () => {
  test("links that make a million paths", async () => {
    const root = scratch();
    for (let level = 0; level < 20; level++) mkdirSync(join(root, `.${level}`));
    for (let level = 0; level < 19; level++)
      for (const name of ["a", "b"])
        symlinkSync(join(root, `.${level + 1}`), join(root, `.${level}`, name));
    symlinkSync(join(root, ".0"), join(root, "class"));
    expect(await message(loadImageFolder(root, small))).toMatch(/at most 64 links to one folder/);
  });

  test("a pipe and a device among the images are left out, a link to one is no image", async () => {
    const root = scratch();
    mkdirSync(join(root, "a"));
    writeFileSync(join(root, "a", "1.jpg"), jpeg());
    execFileSync("mkfifo", [join(root, "a", "2.jpg")]);
    symlinkSync("/dev/zero", join(root, "a", "3.jpg"));
    expect((await loadImageFolder(root, small)).length).toBe(1);
  });

  test("a pointer and a page in place of an image", async () => {
    const root = scratch();
    mkdirSync(join(root, "a"));
    writeFileSync(join(root, "a", "1.jpg"), pointer);
    const data = await loadImageFolder(root, small);
    expect(await message(data.get(0))).toMatch(/1\.jpg is a Git LFS pointer/);
  });
});

describe("a forged index", () => {
  /** Writes facts and block behind a right digest. */
  function forge(file: string, facts: string, block: Uint8Array): void {
    const body = Buffer.concat([Buffer.from(`${facts}\n`), block]);
    const digest = createHash("sha256").update(body).digest("hex");
    writeFileSync(file, Buffer.concat([Buffer.from(`dmae-index 2\n${digest}\n`), body]));
  }
  const factsOf = (file: string) => {
    const bytes = readFileSync(file);
    const start = "dmae-index 2\n".length + 65;
    const end = bytes.indexOf(10, start);
    return {
      facts: JSON.parse(bytes.toString("utf8", start, end)),
      block: bytes.subarray(end + 1),
    };
  };

  test("of shards is made anew", async () => {
    const folder = scratch();
    const images = synthetic({ length: 3, key: key(0), imageShape: [32, 32, 3] });
    await writeTarShards(folder, images);
    const options = { ...small, indexFile: join(folder, "index") };
    await loadTarShards(folder, options);
    const right = readFileSync(options.indexFile);
    const { facts, block } = factsOf(options.indexFile);
    const wrongShard = Buffer.from(block);
    wrongShard.writeUInt32LE(9, 8 * 3);
    const forged: [string, Uint8Array][] = [
      ["{", block],
      ["null", block],
      ["[".repeat(1e5), block],
      [JSON.stringify({ ...facts, count: 2 ** 40 }), block],
      [JSON.stringify({ ...facts, count: -3 }), block],
      [JSON.stringify({ ...facts, count: "3" }), block],
      [JSON.stringify(facts), block.subarray(0, 10)],
      [JSON.stringify(facts), wrongShard],
    ];
    for (const [text, bytes] of forged) {
      forge(options.indexFile, text, bytes);
      expect((await loadTarShards(folder, options)).length).toBe(3);
      expect(readFileSync(options.indexFile)).toEqual(right);
    }
  });

  test("of a folder is made anew, and cannot name files elsewhere", async () => {
    const root = scratch();
    mkdirSync(join(root, "a"));
    writeFileSync(join(root, "a", "1.jpg"), jpeg());
    const options = { ...small, indexFile: join(scratch(), "index") };
    await loadImageFolder(root, options);
    const right = readFileSync(options.indexFile);
    const { facts, block } = factsOf(options.indexFile);
    const [top, inside] = facts.folders;
    const forged: [object, Uint8Array][] = [
      [{ ...facts, folders: 7 }, block],
      [{ ...facts, folders: [null] }, block],
      [{ ...facts, classNames: {} }, block],
      [{ ...facts, folders: [top, { ...inside, path: "../../etc" }] }, block],
      [{ ...facts, folders: [top, { ...inside, count: 2 ** 40 }] }, block],
      [{ ...facts, folders: [top, { ...inside, label: 5 }] }, block],
      [facts, Buffer.from("../../etc/1.jpg\0")],
    ];
    for (const [value, bytes] of forged) {
      forge(options.indexFile, JSON.stringify(value), bytes);
      const data = await loadImageFolder(root, options);
      expect(data.locate(0).name).toBe(join(root, "a", "1.jpg"));
      expect(readFileSync(options.indexFile)).toEqual(right);
    }
  });
});

describe("IDX and CIFAR", () => {
  const idx = (...dimensions: number[]) => {
    const header = Buffer.alloc(4 + 4 * dimensions.length);
    header.set([0, 0, 8, dimensions.length]);
    dimensions.forEach((size, i) => {
      header.writeUInt32BE(size, 4 + 4 * i);
    });
    return header;
  };
  const load = (images: Uint8Array) => {
    const folder = scratch();
    writeFileSync(join(folder, "train-images-idx3-ubyte"), images);
    writeFileSync(join(folder, "train-labels-idx1-ubyte"), idx(1));
    return message(loadIdx(folder, { split: "train" }));
  };

  test("dimensions that no memory holds, plain and compressed, and a gzip bomb", async () => {
    const huge = idx(2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1);
    expect(await load(huge)).toMatch(/at most \d+ bytes \(maxBytes\)/);
    expect(await load(gzipSync(huge))).toMatch(/at most \d+ bytes \(maxBytes\)/);
    const bomb = gzipSync(Buffer.concat([idx(1, 2, 2), Buffer.alloc(50_000_000)]));
    expect(await load(bomb)).toMatch(/20 bytes after decompression, got more/);
  });

  test("a pointer and a page", async () => {
    expect(await load(Buffer.from(pointer))).toMatch(/Git LFS pointer/);
    expect(await load(Buffer.from(page))).toMatch(/a web page/);
    const folder = scratch();
    writeFileSync(join(folder, "test_batch.bin"), pointer);
    expect(await message(loadCifar10(folder, { split: "test" }))).toMatch(/Git LFS pointer/);
  });
});
