import { dirname } from "node:path";
import { makeFolder, writeAtomically } from "@dmae/core/files";

/** Writes a file whole or not at all, in a folder that is made if it is not there. */
export async function writeWhole(
  caller: string,
  file: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await makeFolder(caller, dirname(file));
  await writeAtomically(caller, file, chunks);
}
