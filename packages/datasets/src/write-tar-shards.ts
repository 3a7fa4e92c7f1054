import { join } from "node:path";
import { DmaeError, type World } from "@dmae/core";
import { checkOptions, refusePromise } from "@dmae/core/checks";
import { ranksOf } from "@dmae/core/ranks";
import { ahead } from "./ahead.ts";
import type { PixelDataset } from "./dataset.ts";
import { readSlice, readWhole } from "./files.ts";
import { loadSharp } from "./load-sharp.ts";
import { eachOnRank } from "./on-ranks.ts";
import { writeWhole } from "./write-files.ts";

/** Options of {@link writeTarShards}. */
export interface WriteTarOptions {
  /** Images in a shard; 1,000 by default. */
  readonly shardSize?: number | undefined;
  /** Shards are named `PREFIX-000000.tar`; `shard` by default. */
  readonly prefix?: string | undefined;
  /** The processes that write together, into a folder that all of them see: each writes its shards. */
  readonly world?: World | undefined;
}

/**
 * Writes tar shards in WebDataset's layout, which `loadTarShards` opens: per image `000017.jpg` (or
 * `.png`) and `000017.cls`, and the class names in `classes.txt`. Encoded images are copied byte for byte,
 * images in memory become PNG. The same data set gives the same bytes.
 *
 * @returns the shards' paths
 * @throws DmaeError "file" for images that cannot be read, "unsupported" where PNG is needed and sharp missing
 *
 * @example
 * ```ts
 * await writeTarShards("./shards", await loadImageFolder("./imagenet", { split: "train" }));
 * ```
 */
export async function writeTarShards(
  folder: string,
  dataset: PixelDataset,
  options: WriteTarOptions = {},
): Promise<string[]> {
  checkOptions("writeTarShards", options, { shardSize: true, prefix: true, world: true });
  refusePromise("writeTarShards", dataset);
  const { shardSize = 1000, prefix = "shard" } = options;
  const world = ranksOf("writeTarShards", options.world);
  if (!Number.isInteger(shardSize) || shardSize < 1)
    throw new DmaeError(
      "argument",
      `writeTarShards: shardSize must be a positive integer, got ${shardSize}`,
    );
  if (dataset.length === 0)
    throw new DmaeError("argument", `writeTarShards: ${dataset.name} has no images`);
  const count = Math.ceil(dataset.length / shardSize);
  const files = Array.from({ length: count }, (_, i) =>
    join(folder, `${prefix}-${String(i).padStart(6, "0")}.tar`),
  );
  const write = async (i: number) => {
    const end = Math.min((i + 1) * shardSize, dataset.length);
    await writeWhole("writeTarShards", files[i]!, shard(dataset, i * shardSize, end));
  };
  await eachOnRank(world, count, write);
  if (!world || world.rank === 0) await writeNames(folder, dataset);
  await world?.barrier();
  return files;
}

async function writeNames(folder: string, { classNames, numClasses }: PixelDataset): Promise<void> {
  const names = classNames ?? Array.from({ length: numClasses }, (_, i) => String(i));
  await writeWhole("writeTarShards", join(folder, "classes.txt"), [
    Buffer.from(`${names.join("\n")}\n`),
  ]);
}

async function* shard(dataset: PixelDataset, first: number, end: number) {
  let index = first;
  for await (const { bytes, extension, label } of ahead(first, end, (i) => encoded(dataset, i))) {
    const key = String(index++).padStart(9, "0");
    yield* entry(`${key}.cls`, Buffer.from(String(label)));
    yield* entry(`${key}.${extension}`, bytes);
  }
  yield Buffer.alloc(1024); // the end of a tar file: two empty blocks
}

/** The image as it lies in its file, or as PNG. */
async function encoded(dataset: PixelDataset, index: number) {
  const location = dataset.locate?.(index);
  if (location) {
    const { file, offset, length, name, label } = location;
    const extension = /\.([^./]+)$/.exec(name)![1]!.toLowerCase().replace("jpeg", "jpg");
    const bytes =
      length < 0
        ? await readWhole("writeTarShards", file, 2 ** 30)
        : await readSlice("writeTarShards", file, offset, length, 2 ** 30);
    return { bytes, extension, label };
  }
  const sharp = await loadSharp("writeTarShards");
  const { data, height, width, channels, label } = await dataset.pixels(index);
  const raw = { height, width, channels: channels as 1 | 3 };
  return { bytes: await sharp(data, { raw }).png().toBuffer(), extension: "png", label };
}

/** Header, contents and padding of one file. */
function* entry(name: string, contents: Uint8Array): Generator<Uint8Array> {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  header.write(name, 0, "latin1");
  header.write(octal(0o644, 7), 100, "latin1"); // mode
  header.write(octal(0, 7), 108, "latin1"); // owner
  header.write(octal(0, 7), 116, "latin1"); // group
  header.write(octal(contents.length, 11), 124, "latin1");
  header.write(octal(0, 11), 136, "latin1"); // time: none, so that the bytes repeat
  header.write("        0", 148, "latin1"); // checksum field as blanks; type: a file
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  yield header;
  yield contents;
  const rest = contents.length % 512;
  if (rest > 0) yield Buffer.alloc(512 - rest);
}
