import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { sortByCodePoints } from "./code-points.ts";
import type { ImageLocation } from "./dataset.ts";
import {
  type EncodedDataset,
  type EncodedOptions,
  encodedDataset,
  encodedNames,
} from "./encoded-dataset.ts";
import { fileError, readSlice, readWhole, reason } from "./files.ts";
import { defaultIndexFile, readIndex, writeIndex } from "./index-cache.ts";
import { NameList } from "./name-list.ts";
import { type TarEntry, tarEntries } from "./tar.ts";

/** Options of {@link loadTarShards}. */
export interface TarShardOptions extends EncodedOptions {
  /** Class names by label; by default the lines of `classes.txt` beside the shards, else the labels themselves. */
  readonly classNames?: readonly string[] | undefined;
  /** Where the index is kept between runs: a path, or false. By default the cache folder (`DMAE_CACHE`, or `~/.cache/dmae`). */
  readonly indexFile?: string | false | undefined;
}

/**
 * Opens tar shards in WebDataset's layout: in each tar file, entries that share the name up to its first point
 * are one sample, `000017.jpg` its image and `000017.cls` its class in decimal digits. The shards are read once
 * from end to end for an index; then every image is one read away, in any order.
 *
 * @param shards a folder of `.tar` files, or the files; they are taken in order of their names
 * @throws DmaeError "file" for a damaged or truncated tar file, a sample without image or class, a class out of
 *   range, with the file and the byte offset
 *
 * @example
 * ```ts
 * const train = await loadTarShards("./shards", { transform: [centerCrop(32)] });
 * ```
 */
export async function loadTarShards(
  shards: string | readonly string[],
  given: TarShardOptions = {},
): Promise<EncodedDataset> {
  checkOptions("loadTarShards", given, { ...encodedNames, classNames: true, indexFile: true });
  const { classNames, indexFile, name, ...options } = given;
  const files = await listShards(shards);
  const stamps = await Promise.all(files.map(stamp));
  const cacheFile = indexFile ?? (await defaultIndexFile("shards", files.join("\n")));
  const index =
    (cacheFile && (await cachedIndex(files, stamps, cacheFile))) ||
    (await newIndex(files, stamps, cacheFile || undefined));
  const names = classNames ?? (await readClassNames(files[0]!));
  const numClasses =
    names?.length ?? index.labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  checkLabels(index, numClasses);
  return encodedDataset(
    "loadTarShards",
    {
      name: name ?? basename(typeof shards === "string" ? resolve(shards) : files[0]!, ".tar"),
      length: index.labels.length,
      classNames: names ?? Array.from({ length: numClasses }, (_, label) => String(label)),
      locate: (i) => locate(index, i),
    },
    options,
  );
}

/** Where every sample lies. */
interface ShardIndex {
  readonly files: readonly string[];
  /** Position of each image's file in `files`. */
  readonly shards: Uint32Array;
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  readonly labels: Uint32Array;
  readonly names: NameList;
}

const imageEntry = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp|gif)$/i;
/** Labels, and the bytes of an image, stay below these: a forged number must not take more memory than its file. */
const maxClasses = 2 ** 20;
const maxImageBytes = 2 ** 32 - 1;

function locate(
  { files, shards, offsets, lengths, labels, names }: ShardIndex,
  i: number,
): ImageLocation {
  const file = files[shards[i]!]!;
  return {
    file,
    offset: offsets[i]!,
    length: lengths[i]!,
    name: `${file}/${names.at(i)}`,
    label: labels[i]!,
  };
}

async function listShards(shards: string | readonly string[]): Promise<string[]> {
  const listed =
    typeof shards === "string"
      ? (
          await readdir(shards).catch((cause: unknown) => {
            throw new DmaeError(
              "file",
              `loadTarShards: cannot read the folder ${shards}: ${reason(cause)}`,
              { file: shards },
              { cause },
            );
          })
        )
          .filter((name) => name.endsWith(".tar"))
          .map((name) => join(shards, name))
      : shards;
  if (listed.length === 0)
    throw new DmaeError(
      "file",
      `loadTarShards: ${String(shards) || "the list"} holds no .tar file`,
      {
        file: String(shards),
        expected: "at least one .tar file",
      },
    );
  return sortByCodePoints(listed.map((file) => resolve(file)));
}

/** Changes whenever the file is written again. */
async function stamp(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file).catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `loadTarShards: cannot read ${file}: ${reason(cause)}`,
      { file },
      { cause },
    );
  });
  return `${size} ${mtimeMs}`;
}

interface Sample {
  readonly key: string;
  image?: TarEntry;
  label?: number;
}

async function newIndex(
  files: readonly string[],
  stamps: readonly string[],
  cacheFile: string | undefined,
): Promise<ShardIndex> {
  const perShard = new Array<Required<Sample>[]>(files.length);
  let next = 0;
  const lane = async () => {
    while (next < files.length) {
      const shard = next++;
      perShard[shard] = await readSamples(files[shard]!);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  const samples = perShard.flat();
  const index: ShardIndex = {
    files,
    shards: Uint32Array.from(perShard.flatMap((list, shard) => list.map(() => shard))),
    offsets: Float64Array.from(samples, ({ image }) => image.offset),
    lengths: Uint32Array.from(samples, ({ image }) => image.size),
    labels: Uint32Array.from(samples, ({ label }) => label),
    names: NameList.from([samples.map(({ image }) => image.name)]),
  };
  if (cacheFile)
    await writeIndex(cacheFile, {
      facts: { files, stamps, count: samples.length },
      block: encode(index),
    });
  return index;
}

/** The samples of one shard; every one has an image and a class. */
async function readSamples(file: string): Promise<Required<Sample>[]> {
  const samples: Required<Sample>[] = [];
  let current: Sample = { key: "" };
  const finish = () => {
    if (current.image && current.label !== undefined) samples.push(current as Required<Sample>);
    else if (current.key !== "") throw incomplete(file, current);
  };
  for await (const entry of tarEntries("loadTarShards", file)) {
    const key = sampleKey(entry.name);
    if (key !== current.key) {
      finish();
      current = { key };
    }
    if (imageEntry.test(entry.name)) current.image = checkLength(file, entry);
    else if (entry.name.endsWith(".cls")) current.label = await readLabel(file, entry);
  }
  finish();
  if (samples.length === 0)
    throw fileError("loadTarShards", file, 0, "at least one sample", "none");
  return samples;
}

function checkLength(file: string, entry: TarEntry): TarEntry {
  if (entry.size <= maxImageBytes) return entry;
  const expected = `an image of at most ${maxImageBytes} bytes`;
  throw fileError("loadTarShards", file, entry.offset, expected, `${entry.size} (${entry.name})`);
}

/** The path up to the first point of the file name. */
function sampleKey(name: string): string {
  const start = name.lastIndexOf("/") + 1;
  const point = name.indexOf(".", start);
  return point < 0 ? name : name.slice(0, point);
}

async function readLabel(file: string, { name, offset, size }: TarEntry): Promise<number> {
  const text =
    size <= 16
      ? (await readSlice("loadTarShards", file, offset, size, 16)).toString("latin1").trim()
      : "";
  if (/^\d{1,9}$/.test(text) && Number(text) >= maxClasses)
    throw fileError("loadTarShards", file, offset, `a class below ${maxClasses} (${name})`, text);
  if (!/^\d{1,9}$/.test(text))
    throw fileError(
      "loadTarShards",
      file,
      offset,
      `the class in decimal digits (${name})`,
      text || `${size} bytes`,
    );
  return Number(text);
}

function incomplete(file: string, { key, image }: Sample): DmaeError {
  const missing = image ? ".cls" : ".jpg or .png";
  return fileError(
    "loadTarShards",
    file,
    image?.offset ?? 0,
    `an entry ${key}${missing} in the sample ${key}`,
    "none",
  );
}

function checkLabels(index: ShardIndex, numClasses: number): void {
  const wrong = index.labels.findIndex((label) => label >= numClasses);
  if (wrong < 0) return;
  const { file, offset, name } = locate(index, wrong);
  throw fileError(
    "loadTarShards",
    file,
    offset,
    `a class below ${numClasses}`,
    `${index.labels[wrong]} for ${name}`,
  );
}

async function readClassNames(shard: string): Promise<readonly string[] | undefined> {
  const file = join(shard, "..", "classes.txt");
  if (!(await stat(file).catch(() => undefined))) return undefined;
  const text = (await readWhole("loadTarShards", file, 2 ** 24)).toString("utf8");
  return text.split(/\r?\n/).filter((line) => line !== "");
}

const encode = ({ shards, offsets, lengths, labels, names }: ShardIndex) =>
  Buffer.concat([
    ...[offsets, shards, lengths, labels].map((array) => new Uint8Array(array.buffer)),
    names.bytes,
  ]);

async function cachedIndex(
  files: readonly string[],
  stamps: readonly string[],
  cacheFile: string,
): Promise<ShardIndex | undefined> {
  const cached = await readIndex(cacheFile);
  const facts = cached?.facts as { files?: unknown; stamps?: unknown; count?: unknown } | undefined;
  const same = JSON.stringify([facts?.files, facts?.stamps]) === JSON.stringify([files, stamps]);
  const count = facts?.count;
  if (!cached || !same || !Number.isSafeInteger(count)) return undefined;
  return decode(files, cached.block, count as number);
}

/** The index in `block`; undefined where it is none of `count` samples in these files. */
function decode(files: readonly string[], block: Buffer, count: number): ShardIndex | undefined {
  if (count < 1 || block.length < 20 * count) return undefined;
  const names = NameList.decode(block.subarray(20 * count));
  if (names?.length !== count) return undefined;
  const bytes = new Uint8Array(block).buffer; // aligned
  const offsets = new Float64Array(bytes, 0, count);
  const shards = new Uint32Array(bytes, 8 * count, count);
  const lengths = new Uint32Array(bytes, 12 * count, count);
  const labels = new Uint32Array(bytes, 16 * count, count);
  const isSound =
    shards.every((shard) => shard < files.length) &&
    labels.every((label) => label < maxClasses) &&
    offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0);
  return isSound ? { files, offsets, shards, lengths, labels, names } : undefined;
}
