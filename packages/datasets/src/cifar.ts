import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type ArrayDataset, arrayDataset } from "./array-dataset.ts";
import { type Split, type Splits, splitNames } from "./dataset.ts";
import { defaultMaxBytes, fileError, fileSize, readWhole, reason } from "./files.ts";

/** The ten classes of CIFAR-10 by label. */
export const cifar10Classes: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

/** Options of {@link loadCifar10} and {@link loadCifar100}. */
export interface CifarOptions {
  /** Largest file that is read; 2 GiB by default. */
  readonly maxBytes?: number | undefined;
}

interface Format {
  readonly caller: string;
  readonly name: string;
  /** The folder inside the official archive. */
  readonly folder: string;
  readonly files: Readonly<Record<Split, readonly string[]>>;
  /** The file of class names, one a line. */
  readonly names: string;
  /** Largest value of each byte in front of the pixels, plus one; the last is the class. */
  readonly labels: readonly number[];
}

const cifar10: Format = {
  caller: "loadCifar10",
  name: "cifar-10",
  folder: "cifar-10-batches-bin",
  files: {
    train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    test: ["test_batch.bin"],
  },
  names: "batches.meta.txt",
  labels: [10],
};

const cifar100: Format = {
  caller: "loadCifar100",
  name: "cifar-100",
  folder: "cifar-100-binary",
  files: { train: ["train.bin"], test: ["test.bin"] },
  names: "fine_label_names.txt",
  labels: [20, 100],
};

/** Pixels of one plane; an image is three planes of 32 rows of 32. */
const plane = 32 * 32;

/**
 * Opens CIFAR-10 in its official binary form (`data_batch_1.bin` … `data_batch_5.bin`,
 * `test_batch.bin`): records of one label byte and 3072 bytes, red, green and blue plane.
 *
 * @param folder the folder of these files, or the one above (`cifar-10-batches-bin` is found)
 * @param options `split` opens one part only
 * @returns both parts, or the one asked for, in memory; `[32, 32, 3]` images
 * @throws DmaeError "file" for a missing or truncated file or a label above 9, with the byte offset
 *
 * @example
 * ```ts
 * const { train, test } = await loadCifar10("./cifar-10-batches-bin");
 * ```
 */
export async function loadCifar10(
  folder: string,
  options: CifarOptions & { readonly split: Split },
): Promise<ArrayDataset>;
export async function loadCifar10(
  folder: string,
  options?: CifarOptions,
): Promise<Splits<ArrayDataset>>;
export async function loadCifar10(
  folder: string,
  options: CifarOptions & { readonly split?: Split } = {},
): Promise<ArrayDataset | Splits<ArrayDataset>> {
  return load(cifar10, folder, options);
}

/**
 * Opens CIFAR-100 in its official binary form (`train.bin`, `test.bin`): records of a coarse and a
 * fine label byte and 3072 bytes of pixels. The class is the fine one.
 *
 * @param folder the folder of these files, or the one above (`cifar-100-binary` is found)
 * @param options `split` opens one part only
 * @throws DmaeError "file" for a missing or truncated file or a label out of range, with the byte offset
 */
export async function loadCifar100(
  folder: string,
  options: CifarOptions & { readonly split: Split },
): Promise<ArrayDataset>;
export async function loadCifar100(
  folder: string,
  options?: CifarOptions,
): Promise<Splits<ArrayDataset>>;
export async function loadCifar100(
  folder: string,
  options: CifarOptions & { readonly split?: Split } = {},
): Promise<ArrayDataset | Splits<ArrayDataset>> {
  return load(cifar100, folder, options);
}

async function load(
  format: Format,
  folder: string,
  options: CifarOptions & { readonly split?: Split },
): Promise<ArrayDataset | Splits<ArrayDataset>> {
  checkOptions(format.caller, options, { split: splitNames, maxBytes: "limit" });
  const { split, maxBytes = defaultMaxBytes } = options;
  const home = await findFolder(format, folder);
  const read = (part: Split) => readSplit(format, home, part, maxBytes);
  if (split) return read(split);
  return { train: await read("train"), test: await read("test") };
}

async function findFolder(format: Format, folder: string): Promise<string> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new DmaeError(
      "file",
      `${format.caller}: cannot read the folder ${folder}: ${reason(cause)}`,
      { folder },
      { cause },
    );
  });
  if (names.includes(format.folder)) return join(folder, format.folder);
  if (names.some((name) => Object.values(format.files).flat().includes(name))) return folder;
  throw new DmaeError(
    "file",
    `${format.caller}: ${folder} holds neither ${format.files.test[0]} nor ${format.folder}/ ` +
      `(the binary version of the data set is needed); it holds ${names.slice(0, 8).join(", ") || "nothing"}`,
    { folder, expected: format.files.test[0] },
  );
}

async function readSplit(format: Format, folder: string, split: Split, maxBytes: number) {
  const { caller, labels } = format;
  const files = format.files[split].map((name) => join(folder, name));
  const record = labels.length + 3 * plane;
  const counts = await Promise.all(
    files.map((file) => countRecords(caller, file, record, maxBytes)),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const images = new Uint8Array(total * 3 * plane);
  const classes = new Uint8Array(total);
  let first = 0;
  for (const [i, file] of files.entries()) {
    const bytes = await readWhole(caller, file, maxBytes);
    if (bytes.length !== counts[i]! * record)
      throw fileError(
        caller,
        file,
        bytes.length,
        `${counts[i]! * record} bytes`,
        "a file that changes",
      );
    readRecords(format, file, bytes, images.subarray(first * 3 * plane), classes.subarray(first));
    first += counts[i]!;
  }
  const numClasses = labels.at(-1)!;
  const classNames = await readClassNames(format, folder, numClasses);
  return arrayDataset({
    name: `${format.name}/${split}`,
    images,
    labels: classes,
    imageShape: [32, 32, 3],
    numClasses,
    ...(classNames && { classNames }),
  });
}

async function countRecords(caller: string, file: string, record: number, maxBytes: number) {
  const size = await fileSize(caller, file);
  if (size > maxBytes)
    throw fileError(caller, file, 0, `at most ${maxBytes} bytes (maxBytes)`, `${size} bytes`);
  if (size === 0 || size % record !== 0)
    throw fileError(
      caller,
      file,
      size - (size % record),
      `whole records of ${record} bytes`,
      size === 0 ? "an empty file" : `${size % record} bytes at the end`,
    );
  return size / record;
}

function readRecords(
  { caller, labels }: Format,
  file: string,
  bytes: Uint8Array,
  images: Uint8Array,
  classes: Uint8Array,
): void {
  const record = labels.length + 3 * plane;
  for (let start = 0, n = 0; start < bytes.length; start += record, n++) {
    for (const [i, limit] of labels.entries())
      if (bytes[start + i]! >= limit)
        throw fileError(
          caller,
          file,
          start + i,
          `a label below ${limit}`,
          `${bytes[start + i]} in record ${n}`,
        );
    classes[n] = bytes[start + labels.length - 1]!;
    const planes = bytes.subarray(start + labels.length, start + record);
    const image = images.subarray(n * 3 * plane, (n + 1) * 3 * plane);
    for (let pixel = 0; pixel < plane; pixel++)
      for (let channel = 0; channel < 3; channel++)
        image[pixel * 3 + channel] = planes[channel * plane + pixel]!;
  }
}

/** Class names from the file beside the data, if there is one; CIFAR-10's are known without it. */
async function readClassNames(format: Format, folder: string, numClasses: number) {
  const present = (await readdir(folder)).includes(format.names);
  if (!present) return format === cifar10 ? cifar10Classes : undefined;
  const file = join(folder, format.names);
  const text = (await readWhole(format.caller, file, 65536)).toString("utf8");
  const names = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (names.length !== numClasses)
    throw fileError(
      format.caller,
      file,
      0,
      `${numClasses} class names, one a line`,
      `${names.length}`,
    );
  return names.map((name) => name.trim());
}
