import { copyFile, mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DmaeError, key } from "@dmae/core";
import sharp from "sharp";
import { expect, test } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { batches } from "./batches.ts";
import { decodeImage } from "./decode.ts";
import { findCorruptImages } from "./find-corrupt-images.ts";
import { loadImageFolder } from "./image-folder.ts";
import { centerCrop, randomHorizontalFlip, randomResizedCrop } from "./operations.ts";
import { subset } from "./views.ts";

const scratch = temporaryFolders("dmae-folder");

const fixture = (name: string) => fileURLToPath(new URL(`./__fixtures__/${name}`, import.meta.url));
const pil = readFixture(new URL("./__fixtures__/pil.safetensors", import.meta.url));

/** A folder of class folders; `colour` copies picture.jpg, `grey` grey.jpg, other strings are contents. */
async function folder(files: Record<string, string>): Promise<string> {
  const root = scratch();
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(join(root, name, ".."), { recursive: true });
    if (contents === "colour" || contents === "grey")
      await copyFile(fixture(contents === "colour" ? "picture.jpg" : "grey.jpg"), join(root, name));
    else await writeFile(join(root, name), contents);
  }
  return root;
}

const names = (
  data: { length: number; locate: (i: number) => { name: string; label: number } },
  root: string,
) =>
  Array.from({ length: data.length }, (_, i) => {
    const { name, label } = data.locate(i);
    return `${name.slice(root.length + 1)} ${label}`;
  });

const small = { transform: [centerCrop(20)], indexFile: false } as const;

test("classes and files are in torchvision's order", async () => {
  const root = await folder({
    "n02/b.JPEG": "colour",
    "n02/a.png": "colour",
    "n02/Z.jpg": "colour",
    "n02/deep/c.jpg": "colour",
    "n02/notes.txt": "no image",
    "n01/x.jpeg": "grey",
    "n10/y.webp": "grey",
    ".hidden/z.jpg": "grey",
    "readme.txt": "no class",
  });
  const data = await loadImageFolder(root, small);
  expect(data.classNames).toEqual(["n01", "n02", "n10"]);
  expect(names(data, root)).toEqual([
    "n01/x.jpeg 0",
    "n02/Z.jpg 1",
    "n02/a.png 1",
    "n02/b.JPEG 1",
    "n02/deep/c.jpg 1",
    "n10/y.webp 2",
  ]);
  expect(data.numClasses).toBe(3);
});

test("JPEGs decode to Pillow's bytes, grey ones to three equal channels", async () => {
  for (const [file, tensor] of [
    ["picture.jpg", "jpeg"],
    ["grey.jpg", "jpeg.grey"],
  ] as const) {
    const { data, height, width, channels } = await decodeImage(
      await readFile(fixture(file)),
      file,
    );
    const expected = pil.get(tensor);
    expect([height, width, channels]).toEqual(expected.shape);
    expect(Buffer.compare(data, expected.data as Uint8Array)).toBe(0);
  }
});

test("get applies the data set's transform", async () => {
  const root = await folder({ "a/1.jpg": "colour", "b/2.jpg": "grey" });
  const data = await loadImageFolder(root, small);
  expect(data.imageShape).toEqual([20, 20, 3]);
  const { image, label } = await data.get(1);
  expect(label).toBe(1);
  const whole = pil.get("jpeg.grey").data; // 33x21; the middle 20x20 starts at round(6.5) = 6, round(0.5) = 0
  for (const [row, column] of [
    [0, 0],
    [19, 19],
    [7, 3],
  ] as const)
    expect(image[(row * 20 + column) * 3]).toBe(
      Math.fround(whole[((row + 6) * 21 + column) * 3]! / 255),
    );
  expect((await loadImageFolder(root, { indexFile: false })).imageShape).toEqual([224, 224, 3]);
});

test('channels: 1 gives grey as Pillow\'s convert("L"), for get, other transforms and threads', async () => {
  const root = await folder({ "a/1.jpg": "colour", "b/2.jpg": "grey" });
  const data = await loadImageFolder(root, { ...small, channels: 1 });
  expect(data.imageShape).toEqual([20, 20, 1]);
  const colour = pil.get("jpeg");
  const [height, width] = colour.shape as [number, number];
  const grey = (i: number) => {
    const [r, g, b] = colour.data.slice(3 * i, 3 * i + 3) as Uint8Array;
    return (19595 * r! + 38470 * g! + 7471 * b! + 0x8000) >> 16; // L24 of Pillow's Convert.c, with its rounding
  };
  const whole = Uint8Array.from({ length: height * width }, (_, i) => grey(i));
  expect(await data.pixels(0)).toEqual({ data: whole, height, width, channels: 1, label: 0 });
  const first = pil.get("jpeg.grey").data.filter((_, i) => i % 3 === 0);
  expect((await data.pixels(1)).data).toEqual(new Uint8Array(first)); // grey files keep their values
  const options = {
    batchSize: 2,
    key: key(3),
    transform: [randomResizedCrop(8), randomHorizontalFlip()],
  };
  const { value: here } = await batches(data, options).next();
  expect([here!.imageShape, here!.images.length]).toEqual([[8, 8, 1], 128]);
  const { value: there } = await batches(data, { ...options, workers: 1 }).next();
  expect(there!.images).toEqual(here!.images);
  const { value: fixed } = await batches(subset(data, [1]), { batchSize: 1, workers: 1 }).next();
  expect(fixed!.images).toEqual((await data.get(1)).image);
  for (const channels of [2, "1", null, 4] as never[])
    await expect(loadImageFolder(root, { ...small, channels })).rejects.toThrow(
      `loadImageFolder: channels must be 1 or 3, got ${channels}`,
    );
});

test("names beyond the basic plane are sorted as Python sorts them, by code points", async () => {
  // sorted(["\U0001F600", "\uFF21", "\uE000a", "z", "z\U0001F600", "z\uFF21"]) of Python 3
  const sorted = ["z", "z\uFF21", "z\u{1F600}", "\uE000a", "\uFF21", "\u{1F600}"];
  const files = sorted.flatMap((name) => sorted.map((file) => `${name}/${file}.jpg`));
  const deep = sorted.map((name) => `z/${name}/1.jpg`);
  const root = await folder(Object.fromEntries([...files, ...deep].map((name) => [name, "grey"])));
  const data = await loadImageFolder(root, small);
  expect(data.classNames).toEqual(sorted);
  expect(names(data, root)).toEqual([
    ...files.slice(0, 6).map((name) => `${name} 0`),
    ...deep.map((name) => `${name} 0`),
    ...files.slice(6).map((name, i) => `${name} ${1 + Math.floor(i / 6)}`),
  ]);
});

test("a link to nothing is an image that cannot be read, as in torchvision", async () => {
  const root = await folder({ "a/1.jpg": "colour", "b/2.jpg": "grey" });
  await symlink(join(root, "nowhere"), join(root, "a/0.jpg"));
  await symlink(join(root, "nowhere"), join(root, "a/0.txt"));
  await symlink(join(root, "nowhere"), join(root, "c")); // no class
  const data = await loadImageFolder(root, small);
  expect(data.classNames).toEqual(["a", "b"]);
  expect(names(data, root)).toEqual(["a/0.jpg 0", "a/1.jpg 0", "b/2.jpg 1"]);
  await expect(data.get(0)).rejects.toThrow(`decodeImage: cannot read ${root}/a/0.jpg`);
  const reported: unknown[] = [];
  const onCorrupt = ({ details }: DmaeError) => reported.push(details.file);
  const { value } = await batches(data, { batchSize: 3, onCorrupt }).next();
  expect(Array.from(value!.indices)).toEqual([1, 1, 2]);
  expect(reported).toEqual([`${root}/a/0.jpg`]);
});

test("formats that sharp lacks: a class of nothing else is refused, single files are named", async () => {
  const ppm = "P6\n1 1\n255\nabc";
  const root = await folder({ "a/1.jpg": "colour", "a/2.bmp": "BM....", "b/x/1.PPM": ppm });
  await expect(loadImageFolder(root, small)).rejects.toThrow(
    /the class folder .*\/b holds only files such as 1\.PPM, and \.PPM is not decoded; convert them to \.png/,
  );
  await copyFile(fixture("grey.jpg"), join(root, "b", "2.jpg"));
  const data = await loadImageFolder(root, small);
  expect(names(data, root)).toEqual(["a/1.jpg 0", "a/2.bmp 0", "b/2.jpg 1", "b/x/1.PPM 1"]);
  await expect(data.get(1)).rejects.toThrow(/2\.bmp is not .*it is a BMP file.*convert it to PNG/);
  await expect(data.get(3)).rejects.toThrow(/1\.PPM is not .*it is a PPM or PGM file/);
});

test("16-bit images keep the upper byte", async () => {
  const values = Uint16Array.of(0, 255, 256, 1000, 40000, 65535);
  const raw = { width: 6, height: 1, channels: 1 } as const;
  const png = await sharp(values, { raw }).toColourspace("grey16").png().toBuffer();
  expect((await sharp(png).metadata()).depth).toBe("ushort");
  const { data } = await decodeImage(png, "16.png");
  expect(Array.from(data)).toEqual([...values].flatMap((value) => Array(3).fill(value >> 8)));
});

test("splits are found, and asked for where there are two", async () => {
  const root = await folder({
    "train/a/1.jpg": "colour",
    "train/a/2.jpg": "colour",
    "val/a/1.jpg": "colour",
  });
  expect((await loadImageFolder(root, { ...small, split: "train" })).length).toBe(2);
  expect((await loadImageFolder(root, { ...small, split: "test" })).length).toBe(1);
  await expect(loadImageFolder(root, small)).rejects.toThrow('pass split: "train" or "test"');
  await rm(join(root, "val"), { recursive: true });
  await expect(loadImageFolder(root, small)).rejects.toThrow(
    'would be train/, which holds folders itself; pass split: "train" for the classes in it',
  );
  const one = await folder({ "train/1.jpg": "colour" }); // one class of that name
  expect((await loadImageFolder(one, small)).classNames).toEqual(["train"]);
  await expect(loadImageFolder(root, { ...small, split: "test" })).rejects.toThrow(
    "has none of val/, validation/, test/; it holds train",
  );
});

test("missing folders, no classes, empty classes are errors that name them", async () => {
  await expect(loadImageFolder("/nonexistent", small)).rejects.toThrow(
    "cannot read the folder /nonexistent",
  );
  await expect(loadImageFolder(await folder({ "1.jpg": "colour" }), small)).rejects.toThrow(
    "must hold one folder per class, it holds 1 files, such as 1.jpg",
  );
  await expect(
    loadImageFolder(await folder({ "a/1.jpg": "grey", "b/1.txt": "" }), small),
  ).rejects.toThrow(/the class folder .*\/b holds no image/);
  await expect(
    loadImageFolder(await folder({ "a/1.jpg": "grey" }), {
      transform: [randomHorizontalFlip()],
      indexFile: false,
    }),
  ).rejects.toThrow("transform must be fixed, got randomHorizontalFlip");
});

test("the index is kept, used, and rebuilt when a folder changes or the file is damaged", async () => {
  const root = await folder({ "a/1.jpg": "colour", "a/2.jpg": "colour", "b/1.jpg": "grey" });
  const indexFile = join(await folder({}), "sub", "index");
  const options = { ...small, indexFile };
  const first = names(await loadImageFolder(root, options), root);
  const stored = await readFile(indexFile);
  expect(names(await loadImageFolder(root, options), root)).toEqual(first);
  expect(await readFile(indexFile)).toEqual(stored); // not written again

  await copyFile(fixture("grey.jpg"), join(root, "b", "0.jpg"));
  await utimes(join(root, "b"), 1e9, 1e9); // a change within the clock's resolution would also be one
  expect(names(await loadImageFolder(root, options), root)).toEqual([
    ...first.slice(0, 2),
    "b/0.jpg 1",
    "b/1.jpg 1",
  ]);
  await mkdir(join(root, "c"));
  await expect(loadImageFolder(root, options)).rejects.toThrow("/c holds no image");
  await rm(join(root, "c"), { recursive: true });

  const good = names(await loadImageFolder(root, options), root);
  for (const position of [0, 20, 90, 200]) {
    const damaged = await readFile(indexFile);
    damaged[position]! ^= 1;
    await writeFile(indexFile, damaged);
    expect(names(await loadImageFolder(root, options), root)).toEqual(good);
  }
  await writeFile(indexFile, "dmae-index 2\n");
  expect(names(await loadImageFolder(root, options), root)).toEqual(good);
});

test("while folders keep their times, the index is used and nothing is listed", async () => {
  const root = await folder({ "a/1.jpg": "colour" });
  const options = { ...small, indexFile: join(await folder({}), "index") };
  const sameTime = () => utimes(join(root, "a"), 1e9, 1e9);
  await sameTime();
  await loadImageFolder(root, options);
  await copyFile(fixture("grey.jpg"), join(root, "a", "2.jpg"));
  await sameTime();
  expect((await loadImageFolder(root, options)).length).toBe(1);
  expect((await loadImageFolder(root, { ...options, indexFile: false })).length).toBe(2);
});

test("damaged images are errors by name, or reported and replaced", async () => {
  const root = await folder({ "a/1.jpg": "colour", "a/2.jpg": "not a jpeg", "b/3.jpg": "grey" });
  await writeFile(
    join(root, "b/4.jpg"),
    (await readFile(fixture("picture.jpg"))).subarray(0, 2500),
  );
  const data = await loadImageFolder(root, small);
  const error = await Promise.resolve(data.get(1)).catch((thrown: unknown) => thrown);
  expect(DmaeError.isInstance(error, "file")).toBe(true);
  expect(String(error)).toContain(`${root}/a/2.jpg is not a readable image`);
  await expect(data.get(3)).rejects.toThrow(`${root}/b/4.jpg`); // cut off half way

  let done = 0;
  const damaged = await findCorruptImages(data, { onProgress: () => done++ });
  expect(damaged.map(({ details }) => details.file)).toEqual([
    `${root}/a/2.jpg`,
    `${root}/b/4.jpg`,
  ]);
  expect(done).toBe(4);

  const all = (options: object) => batches(data, { batchSize: 4, ...options });
  await expect(all({}).next()).rejects.toThrow("a/2.jpg");
  const reported: string[] = [];
  const { value } = await all({
    onCorrupt: (e: DmaeError) => reported.push(String(e.details.file)),
  }).next();
  expect(Array.from(value!.indices)).toEqual([0, 2, 2, 0]);
  expect(Array.from(value!.labels)).toEqual([0, 1, 1, 0]);
  expect(reported.map((file) => file.slice(root.length + 1))).toEqual(["a/2.jpg", "b/4.jpg"]);
  const none = subset(data, [1, 3]);
  await expect(batches(none, { batchSize: 1, onCorrupt: () => {} }).next()).rejects.toThrow(
    "not one image",
  );
});

test("caps on bytes and pixels hold before decoding", async () => {
  const root = await folder({ "a/1.jpg": "colour" });
  const bytes = await loadImageFolder(root, { ...small, maxBytes: 1000 });
  await expect(bytes.get(0)).rejects.toThrow("at most 1000 bytes (maxBytes)");
  const pixels = await loadImageFolder(root, { ...small, maxPixels: 1000 });
  await expect(pixels.get(0)).rejects.toThrow(/exceeds pixel limit/);
});

test("workers give the very same batches, whatever their number and the batch size", async () => {
  const root = await folder(
    Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [`${"abc"[i % 3]}/${i}.jpg`, i % 2 ? "grey" : "colour"]),
    ),
  );
  const data = await loadImageFolder(root, small);
  const transform = [randomResizedCrop(16), randomHorizontalFlip()];
  const collect = async (batchSize: number, workers: number) => {
    const images = new Map<number, Float32Array>();
    for await (const batch of batches(data, {
      batchSize,
      workers,
      transform,
      key: key(2),
      shuffle: true,
      epoch: 3,
    }))
      batch.indices.forEach((index, i) => {
        images.set(index, batch.images.slice(i * 768, (i + 1) * 768));
      });
    return [...images].sort(([a], [b]) => a - b);
  };
  const local = await collect(4, 0);
  expect(local).toHaveLength(9);
  expect(await collect(4, 2)).toEqual(local);
  expect(await collect(9, 1)).toEqual(local);
});
