import { DmaeError } from "@dmae/core";
import { cacheFolder } from "./cache-folder.ts";
import { type DownloadOptions, download } from "./download.ts";
import type { FileFacts } from "./verify-file.ts";

/** An archive and the files that it must hold. @internal */
export interface ArchiveFacts extends Required<Pick<FileFacts, "md5" | "size">> {
  readonly url: string;
  /** Folder inside the archive. */
  readonly folder: string;
  /** File -> bytes. */
  readonly files: Readonly<Record<string, number>>;
}

const batchBytes = 10_000 * (1 + 32 * 32 * 3);

/** The binary version, as https://www.cs.toronto.edu/~kriz/cifar.html publishes it. */
const cifar10: ArchiveFacts = {
  url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  md5: "c32a1d4ab5d03f1284b67883e8d87530",
  size: 170_052_171,
  folder: "cifar-10-batches-bin",
  files: {
    "data_batch_1.bin": batchBytes,
    "data_batch_2.bin": batchBytes,
    "data_batch_3.bin": batchBytes,
    "data_batch_4.bin": batchBytes,
    "data_batch_5.bin": batchBytes,
    "test_batch.bin": batchBytes,
  },
};

/** Options of {@link downloadCifar10}. */
export interface DownloadCifar10Options
  extends Pick<DownloadOptions, "onProgress" | "signal" | "attempts" | "fetch"> {
  /** Folder that will hold `cifar-10-batches-bin`; default {@link cacheFolder}. */
  readonly to?: string;
  /** A mirror of the same archive. */
  readonly url?: string;
}

/**
 * Downloads CIFAR-10 (162 MB, MD5 verified), unpacks it, and gives the folder `cifar-10-batches-bin`
 * with its six binary files (five batches for training, one for testing). A folder that is complete is returned at once. Node only.
 *
 * @throws DmaeError "file" as `download`, or where the archive lacks a file
 *
 * @example
 * ```ts
 * const folder = await downloadCifar10();
 * ```
 */
export async function downloadCifar10(options: DownloadCifar10Options = {}): Promise<string> {
  return downloadArchive("downloadCifar10", cifar10, options);
}

/** @internal */
export async function downloadArchive(
  caller: string,
  facts: ArchiveFacts,
  { to, url = facts.url, ...options }: DownloadCifar10Options,
): Promise<string> {
  const { join } = await import("node:path");
  const { rename, rm } = await import("node:fs/promises");
  const parent = to ?? (await cacheFolder());
  const folder = join(parent, facts.folder);
  if ((await missingFiles(folder, facts)).length === 0) return folder;
  const { md5, size } = facts;
  const archive = await download(url, { ...options, md5, size, to: `${folder}.tar.gz` });
  const unpacked = await unpack(caller, archive, `${folder}.tmp`, facts);
  await rm(folder, { recursive: true, force: true });
  await rename(join(unpacked, facts.folder), folder);
  await rm(unpacked, { recursive: true, force: true });
  await rm(archive, { force: true });
  return folder;
}

/** Unpacks only the files that are known, each no longer than it must be. */
async function unpack(
  caller: string,
  archive: string,
  folder: string,
  facts: ArchiveFacts,
): Promise<string> {
  const { mkdir, rm } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const { extract } = await import("tar");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const wanted = new Map(
    Object.entries(facts.files).map(([name, size]) => [`${facts.folder}/${name}`, size]),
  );
  await extract({
    file: archive,
    cwd: folder,
    strict: true,
    filter: (path, entry) => "size" in entry && wanted.get(path) === entry.size,
  });
  const missing = await missingFiles(join(folder, facts.folder), facts);
  if (missing.length === 0) return folder;
  throw new DmaeError("file", `${caller}: the archive lacks ${missing.join(", ")}`, { archive });
}

async function missingFiles(folder: string, { files }: ArchiveFacts): Promise<string[]> {
  const { stat } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const sizes = await Promise.all(
    Object.keys(files).map((name) =>
      stat(join(folder, name)).then(
        (entry) => entry.size,
        () => -1,
      ),
    ),
  );
  return Object.entries(files)
    .filter(([, size], i) => sizes[i] !== size)
    .map(([name]) => name);
}
