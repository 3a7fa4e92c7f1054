import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type ImageLocation, type Split, splitNames } from "./dataset.ts";
import {
  type EncodedDataset,
  type EncodedOptions,
  encodedDataset,
  encodedNames,
} from "./encoded-dataset.ts";
import { reason } from "./files.ts";
import {
  buildFolderIndex,
  type FolderIndex,
  type IndexedFolder,
  isCurrent,
  isSound,
} from "./folder-index.ts";
import { defaultIndexFile, readIndex, writeIndex } from "./index-cache.ts";
import { NameList } from "./name-list.ts";

/** Options of {@link loadImageFolder}. */
export interface ImageFolderOptions extends EncodedOptions {
  /** Opens `train/`, or `val/` (`validation/`, `test/`), instead of the folder itself. */
  readonly split?: Split | undefined;
  /**
   * Where the list of files is kept between runs: a path, or false to list the folder each time. By default
   * the cache folder (`DMAE_CACHE`, or `~/.cache/dmae`). It is rebuilt when a folder's modification time has changed.
   */
  readonly indexFile?: string | false | undefined;
}

/**
 * Opens a folder of class folders of images: ImageNet's `train/n01440764/*.JPEG`, or any other. Classes are the
 * subfolders in order of their names, images are sorted by path (both as torchvision's `ImageFolder`). Images are
 * decoded by `sharp` (an optional peer) when they are asked for.
 *
 * @throws DmaeError "file" for a missing folder, a folder without class folders, a class without images
 *
 * @example
 * ```ts
 * const train = await loadImageFolder("./imagenet", { split: "train" });
 * const transform = [randomResizedCrop(224), randomHorizontalFlip()];
 * for await (const batch of batches(train, { batchSize: 64, shuffle: true, key: key(0), transform, workers: 8 })) …
 * ```
 */
export async function loadImageFolder(
  folder: string,
  given: ImageFolderOptions = {},
): Promise<EncodedDataset> {
  checkOptions("loadImageFolder", given, { ...encodedNames, split: splitNames, indexFile: true });
  const { split, indexFile, name, ...options } = given;
  if (indexFile !== undefined && indexFile !== false && typeof indexFile !== "string")
    throw new DmaeError(
      "argument",
      `loadImageFolder: indexFile must be a path or false, got ${indexFile}`,
    );
  const root = resolve(await chooseFolder(folder, split));
  const file = indexFile ?? (await defaultIndexFile("folder", root));
  const index =
    (file && (await cachedIndex(root, file))) || (await newIndex(root, file || undefined));
  if (!split) refuseSplitAsClass(root, index);
  return encodedDataset(
    "loadImageFolder",
    {
      name: name ?? (split ? `${basename(resolve(folder))}/${split}` : basename(root)),
      length: index.names.length,
      classNames: index.classNames,
      locate: locator(index),
    },
    options,
  );
}

const splitFolders: Readonly<Record<Split, readonly string[]>> = {
  train: ["train"],
  test: ["val", "validation", "test"],
};

async function chooseFolder(folder: string, split: Split | undefined): Promise<string> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `loadImageFolder: cannot read the folder ${folder}: ${reason(cause)}`,
      { file: folder },
      { cause },
    );
  });
  const found = (wanted: Split) => splitFolders[wanted].find((name) => names.includes(name));
  if (!split) {
    if (found("train") && found("test"))
      throw new DmaeError(
        "argument",
        `loadImageFolder: ${folder} has ${found("train")}/ and ${found("test")}/; pass split: "train" or "test"`,
      );
    return folder;
  }
  const chosen = found(split);
  if (chosen) return join(folder, chosen);
  const expected = splitFolders[split].map((name) => `${name}/`).join(", ");
  throw new DmaeError(
    "file",
    `loadImageFolder: ${folder} has none of ${expected}; it holds ${names.slice(0, 8).join(", ") || "nothing"}`,
    { file: folder, expected },
  );
}

/** `photos/train/cat` and `photos/train/dog` are two classes of the split "train", not the one class "train". */
function refuseSplitAsClass(root: string, { classNames, folders }: FolderIndex): void {
  const [only = "", ...more] = classNames;
  const splits = ["train", "test"] as const;
  const split = splits.find((name) => splitFolders[name].includes(only));
  if (!split || more.length > 0 || !folders.some(({ path, count }) => count > 0 && path !== only))
    return;
  throw new DmaeError(
    "argument",
    `loadImageFolder: the only class of ${root} would be ${only}/, which holds folders itself; pass split: "${split}" for the classes in it`,
  );
}

async function newIndex(root: string, file: string | undefined): Promise<FolderIndex> {
  const index = await buildFolderIndex("loadImageFolder", root);
  const { classNames, folders, names } = index;
  if (file) await writeIndex(file, { facts: { root, classNames, folders }, block: names.bytes });
  return index;
}

async function cachedIndex(root: string, file: string): Promise<FolderIndex | undefined> {
  const cached = await readIndex(file);
  const names = cached && NameList.decode(cached.block);
  if (!names) return undefined;
  const index = { ...(cached.facts as Omit<FolderIndex, "names">), names };
  return isSound(index, root) && (await isCurrent(index)) ? index : undefined;
}

function locator({ root, folders, names }: FolderIndex): (index: number) => ImageLocation {
  const ends = new Float64Array(folders.length);
  folders.reduce((sum, { count }, i) => (ends[i] = sum + count), 0);
  return (index) => {
    const { path, label } = folderOf(folders, ends, index);
    const name = `${path}/${names.at(index)}`;
    return { file: join(root, name), offset: 0, length: -1, name: join(root, name), label };
  };
}

/** The first folder whose end lies beyond `index`. */
function folderOf(
  folders: readonly IndexedFolder[],
  ends: Float64Array,
  index: number,
): IndexedFolder {
  let low = 0;
  let high = folders.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]! > index) high = middle;
    else low = middle + 1;
  }
  return folders[low]!;
}
