import type { DownloadOptions } from "./download.ts";
import { type ArchiveFacts, downloadArchive } from "./download-archive.ts";

/** The binary versions, as https://www.cs.toronto.edu/~kriz/cifar.html publishes them. */
const site = "https://www.cs.toronto.edu/~kriz";
const pixels = 32 * 32 * 3;

const cifar10: ArchiveFacts = {
  url: `${site}/cifar-10-binary.tar.gz`,
  md5: "c32a1d4ab5d03f1284b67883e8d87530",
  size: 170_052_171,
  folder: "cifar-10-batches-bin",
  files: Object.fromEntries(
    ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
      .concat("test_batch")
      .map((name) => [`${name}.bin`, 10_000 * (1 + pixels)]),
  ),
  texts: ["batches.meta.txt"],
};

const cifar100: ArchiveFacts = {
  url: `${site}/cifar-100-binary.tar.gz`,
  md5: "03b5dce01913d631647c71ecec9e9cb8",
  size: 168_513_733,
  folder: "cifar-100-binary",
  files: { "train.bin": 50_000 * (2 + pixels), "test.bin": 10_000 * (2 + pixels) },
  texts: ["coarse_label_names.txt", "fine_label_names.txt"],
};

/** Options of {@link downloadCifar10} and {@link downloadCifar100}. */
export interface DownloadCifarOptions
  extends Pick<DownloadOptions, "onProgress" | "signal" | "attempts" | "fetch"> {
  /** Folder that will hold `cifar-10-batches-bin` or `cifar-100-binary`; default {@link cacheFolder}. */
  readonly to?: string | undefined;
  /** A mirror of the same archive. */
  readonly url?: string | undefined;
}

/**
 * Downloads CIFAR-10 (162 MB, MD5 verified), unpacks it, and gives the folder `cifar-10-batches-bin`
 * with its six binary files (five batches for training, one for testing). A folder that is complete is
 * returned at once. Node only.
 *
 * @throws DmaeError "file" as `download`, or where the archive lacks a file
 *
 * @example
 * ```ts
 * const folder = await downloadCifar10();
 * ```
 */
export async function downloadCifar10(options: DownloadCifarOptions = {}): Promise<string> {
  return downloadArchive("downloadCifar10", cifar10, options);
}

/**
 * Downloads CIFAR-100 (161 MB, MD5 verified), unpacks it, and gives the folder `cifar-100-binary` with
 * `train.bin`, `test.bin` and the names of the classes. A folder that is complete is returned at once.
 * Node only.
 *
 * @throws DmaeError "file" as `download`, or where the archive lacks a file
 */
export async function downloadCifar100(options: DownloadCifarOptions = {}): Promise<string> {
  return downloadArchive("downloadCifar100", cifar100, options);
}
