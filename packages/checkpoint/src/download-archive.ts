import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { cacheFolder, lockFile, makeFolder } from "@dmae/core/files";
import { type DownloadOptions, download, transferNames } from "./download.ts";
import type { FileFacts } from "./verify-file.ts";

/** An archive and the files that it must hold. @internal */
export interface ArchiveFacts extends Required<Pick<FileFacts, "md5" | "size">> {
  readonly url: string;
  /** Folder inside the archive. */
  readonly folder: string;
  /** File -> bytes. */
  readonly files: Readonly<Record<string, number>>;
  /** Small text files that are taken along if they are there. */
  readonly texts: readonly string[];
}

/** What the caller of a download of an archive can choose. @internal */
export interface ArchiveOptions
  extends Pick<DownloadOptions, "onProgress" | "signal" | "attempts" | "fetch"> {
  readonly to?: string | undefined;
  readonly url?: string | undefined;
}

/** Largest text file that is unpacked. */
const maxText = 1 << 16;

/**
 * Downloads and unpacks an archive once: a folder that is complete is returned at once, and a second
 * process waits for the first.
 *
 * @internal
 */
export async function downloadArchive(
  caller: string,
  facts: ArchiveFacts,
  given: ArchiveOptions,
): Promise<string> {
  checkOptions(caller, given, { ...transferNames, url: true });
  const { to, url = facts.url, ...options } = given;
  const { join } = await import("node:path");
  const { rename, rm } = await import("node:fs/promises");
  const parent = to ?? (await cacheFolder());
  const folder = join(parent, facts.folder);
  const isThere = async () => (await missingFiles(folder, facts)).length === 0;
  if (await isThere()) return folder;
  const { md5, size } = facts;
  const archive = await download(url, { ...options, md5, size, to: `${folder}.tar.gz` });
  await makeFolder(caller, parent);
  const wait = { caller, guarded: folder, wait: true, signal: options.signal };
  const lock = await lockFile(`${folder}.lock`, wait);
  try {
    if (await isThere()) return folder;
    const unpacked = await unpack(caller, archive, `${folder}.tmp`, facts);
    await lock.check();
    await rm(folder, { recursive: true, force: true });
    await rename(join(unpacked, facts.folder), folder);
    await rm(unpacked, { recursive: true, force: true });
    await rm(archive, { force: true });
    return folder;
  } finally {
    await lock.release();
  }
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
  const texts = new Set(facts.texts.map((name) => `${facts.folder}/${name}`));
  await extract({
    file: archive,
    cwd: folder,
    strict: true,
    filter: (path, entry) =>
      "size" in entry &&
      (wanted.get(path) === entry.size || (texts.has(path) && entry.size <= maxText)),
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
