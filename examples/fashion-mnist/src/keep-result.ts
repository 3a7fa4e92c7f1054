import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { writeAtomically } from "@dmae/core/files";

/** Where a finished log and its facts are kept. */
export interface ResultFiles {
  /** The log, compressed. */
  readonly log: string;
  /** What made it; there only beside the log that it is of. */
  readonly facts: string;
}

/** The files of a result in a folder. */
export const resultFiles = (folder: string, name: string, ending = ".json"): ResultFiles => ({
  log: join(folder, `${name}.tsv.gz`),
  facts: join(folder, `${name}${ending}`),
});

/** Keeps a finished log and its facts; killed at any moment, it leaves no facts beside the log of another run. */
export async function keepResult(
  files: ResultFiles,
  { log, facts }: { readonly log: string; readonly facts: object },
): Promise<void> {
  await mkdir(dirname(files.log), { recursive: true });
  const packed = gzipSync(await readFile(log), { level: 9 });
  await rm(files.facts, { force: true });
  await writeAtomically("certify", files.log, [packed]);
  await writeAtomically("certify", files.facts, `${JSON.stringify(facts, null, 2)}\n`);
}

/** Removes the log that a kept result was made of, so that its images are certified anew; any other log is to be continued. */
export async function removeKeptLog(log: string, files: ResultFiles): Promise<void> {
  if (![log, files.log, files.facts].every((file) => existsSync(file))) return;
  const kept = gunzipSync(await readFile(files.log));
  if (kept.equals(await readFile(log))) await rm(log);
}
