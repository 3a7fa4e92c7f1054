import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { key } from "@dmae/core";
import { type Split, synthetic } from "@dmae/datasets";
import { writeCifar10 } from "@dmae/datasets/writers";

/** A folder of the system that is removed with `dispose`. */
export async function temporaryFolder() {
  const folder = await mkdtemp(join(tmpdir(), "dmae-reproduce-"));
  return { folder, dispose: () => rm(folder, { recursive: true, force: true }) };
}

const images = (split: Split, length: number, side: number, numClasses: number) =>
  synthetic({ length, key: key(7), imageShape: [side, side, 3], numClasses, split });

/** ImageNet's layout with generated JPEGs of several sizes: 16 for training, 8 for validation, two classes. */
export async function writeImageFolder(folder: string): Promise<void> {
  const { default: sharp } = await import("sharp");
  for (const [name, split, length] of [
    ["train", "train", 16],
    ["val", "test", 8],
  ] as const)
    for (let i = 0; i < length; i++) {
      const side = 40 + 4 * (i % 3);
      const { data, label } = await images(split, length, side, 2).pixels(i);
      const place = join(folder, name, `n0000000${label}`);
      await mkdir(place, { recursive: true });
      const raw = { width: side, height: side, channels: 3 as const };
      await sharp(data, { raw })
        .jpeg({ quality: 95 })
        .toFile(join(place, `${i}.JPEG`));
    }
}

/** CIFAR-10's binary files with generated images: 20 for training, 8 for validation. */
export const writeBinary = (folder: string) =>
  writeCifar10(folder, { train: images("train", 20, 32, 10), test: images("test", 8, 32, 10) });

/** Lines of a JSONL file. */
export async function jsonLines(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
