import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError, key } from "@dmae/core";
import {
  type ImageOperation,
  loadCifar10,
  loadImageFolder,
  loadTarShards,
  type PixelDataset,
  type Split,
  synthetic,
} from "@dmae/datasets";
import { centerCrop, evaluationTransform, resize } from "@dmae/datasets/transforms";
import type { DatasetName } from "./recipe.ts";

/** Training and validation images. */
export interface Data {
  /** Training images. */
  readonly train: PixelDataset;
  /** Validation images. */
  readonly test: PixelDataset;
  /** How they were stored, for logs. */
  readonly layout: "folder" | "shards" | "binary" | "generated";
}

/**
 * Opens the images of a recipe at the side that its model takes: class folders or tar shards in `train/` and `val/`, or
 * CIFAR-10's binary files, whichever is there.
 *
 * @throws DmaeError "file" for a folder that holds none of these, "argument" for images of another size
 */
export async function openData(folder: string, dataset: DatasetName, side: number): Promise<Data> {
  const layout = await layoutOf(folder);
  if (layout === "binary") {
    const { train, test } = await loadCifar10(folder);
    if (side !== 32)
      throw new DmaeError(
        "argument",
        `data: the images in ${folder} are 32x32, got inputSize ${side}; set model.inputSize=32`,
      );
    return { train, test, layout };
  }
  const transform =
    dataset === "imagenet" ? evaluationTransform(side) : [resize(side), centerCrop(side)];
  const open = (split: Split) => openSplit(folder, layout, split, transform);
  const [train, test] = [await open("train"), await open("test")];
  if (train.numClasses !== test.numClasses)
    throw new DmaeError(
      "file",
      `data: train and val in ${folder} must have the same classes, got ${train.numClasses} and ${test.numClasses}`,
      { file: folder },
    );
  return { train, test, layout };
}

/** Images out of nothing, for `--smoke` without `--data`. */
export function generatedData(side: number): Data {
  const make = (split: Split, length: number) =>
    synthetic({ length, key: key(0), imageShape: [side, side, 3], split });
  return { train: make("train", 16), test: make("test", 8), layout: "generated" };
}

const expected =
  "class folders in train/ and val/, tar shards in train/ and val/, or data_batch_1.bin … test_batch.bin";

async function layoutOf(folder: string): Promise<"folder" | "shards" | "binary"> {
  const names = await list(folder);
  if (names.includes("data_batch_1.bin") || names.includes("cifar-10-batches-bin")) return "binary";
  if (names.includes("train")) {
    const inside = await list(join(folder, "train"));
    return inside.some((name) => name.endsWith(".tar")) ? "shards" : "folder";
  }
  throw new DmaeError(
    "file",
    `data: ${folder} must hold ${expected}; it holds ${names.slice(0, 8).join(", ") || "nothing"}`,
    { file: folder },
  );
}

async function openSplit(
  folder: string,
  layout: "folder" | "shards",
  split: Split,
  transform: readonly ImageOperation[],
): Promise<PixelDataset> {
  if (layout === "folder") return loadImageFolder(folder, { split, transform });
  const names = await list(folder);
  const name =
    split === "train" ? "train" : ["val", "validation", "test"].find((n) => names.includes(n));
  if (name === undefined)
    throw new DmaeError("file", `data: ${folder} has train/ but no val/`, { file: folder });
  return loadTarShards(join(folder, name), { transform });
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: Error) => {
    throw new DmaeError(
      "file",
      `data: cannot read ${folder} (${cause.message}); --data names a folder with ${expected}`,
      { file: folder },
      { cause },
    );
  });
}
