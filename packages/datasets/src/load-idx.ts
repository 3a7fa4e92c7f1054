import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type ArrayDataset, arrayDataset } from "./array-dataset.ts";
import { type Split, type Splits, splitNames } from "./dataset.ts";
import { defaultMaxBytes, readWhole, reason } from "./files.ts";
import { decodeIdx, idxImages, idxLabels } from "./idx.ts";

/** Options of {@link loadIdx}. */
export interface IdxOptions {
  /** Number of classes, 10 by default; a label outside is an error. */
  readonly numClasses?: number | undefined;
  /** Class names by label. */
  readonly classNames?: readonly string[] | undefined;
  /** Name of the data set, `idx` by default. */
  readonly name?: string | undefined;
  /** Largest file, before and after decompression, that is read; 2 GiB by default. */
  readonly maxBytes?: number | undefined;
}

/** The paths (or file URLs) of the images and the labels of one split. */
export interface IdxFiles {
  /** The file of images. */
  readonly images: string;
  /** The file of labels. */
  readonly labels: string;
}

/**
 * Opens a folder of IDX files as MNIST and its relatives are published: `train-images-idx3-ubyte`,
 * `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each plain or `.gz`
 * (a point or a hyphen before `idx`; `test` for `t10k`).
 *
 * @param folder where the files lie
 * @param options `split` opens one part and needs only its two files
 * @returns both parts, or the one asked for, in memory; `[H, W, 1]` images
 * @throws DmaeError "file" for a missing, truncated or corrupt file, with its name and the byte offset
 *
 * @example
 * ```ts
 * const { train, test } = await loadIdx("./mnist");
 * const one = test.get(0); // { image: Float32Array(784), label: 7 }
 * ```
 */
export async function loadIdx(
  folder: string,
  options: IdxOptions & { readonly split: Split },
): Promise<ArrayDataset>;
export async function loadIdx(folder: string, options?: IdxOptions): Promise<Splits<ArrayDataset>>;
export async function loadIdx(
  folder: string,
  options: IdxOptions & { readonly split?: Split } = {},
): Promise<ArrayDataset | Splits<ArrayDataset>> {
  checkOptions("loadIdx", options, {
    split: splitNames,
    numClasses: true,
    classNames: "list",
    name: "text",
    maxBytes: "limit",
  });
  const { split } = options;
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `loadIdx: cannot read the folder ${folder}: ${reason(cause)}`,
      { folder },
      { cause },
    );
  });
  const read = (part: Split) =>
    readIdxSplit("loadIdx", findFiles(folder, names, part), part, options);
  if (split) return read(split);
  return { train: await read("train"), test: await read("test") };
}

/** Reads the two files of one split. */
export async function readIdxSplit(
  caller: string,
  files: IdxFiles,
  split: Split,
  options: IdxOptions,
): Promise<ArrayDataset> {
  const { numClasses = 10, classNames, name = "idx", maxBytes = defaultMaxBytes } = options;
  const decode = async (file: string) =>
    decodeIdx(caller, file, await readWhole(caller, file, maxBytes), maxBytes);
  const { count, imageShape, data } = idxImages(caller, files.images, await decode(files.images));
  const labels = idxLabels(caller, files.labels, await decode(files.labels), count, numClasses);
  return arrayDataset({
    name: `${name}/${split}`,
    images: data,
    labels,
    imageShape,
    numClasses,
    ...(classNames && { classNames }),
  });
}

function findFiles(folder: string, names: readonly string[], split: Split): IdxFiles {
  const find = (what: "images" | "labels") => {
    const pattern = new RegExp(
      `^${split === "train" ? "train" : "(t10k|test)"}-${what}[-.]idx\\d-ubyte(\\.gz)?$`,
    );
    const found = names.filter((name) => pattern.test(name)).sort(); // a plain file comes before its .gz
    if (found[0]) return join(folder, found[0]);
    const official = `${split === "train" ? "train" : "t10k"}-${what}-idx${what === "images" ? 3 : 1}-ubyte`;
    throw new DmaeError(
      "file",
      `loadIdx: ${folder} has no ${official} (plain or .gz); it holds ${names.slice(0, 8).join(", ") || "nothing"}`,
      { folder, expected: official },
    );
  };
  return { images: find("images"), labels: find("labels") };
}
