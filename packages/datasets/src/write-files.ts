import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileError, writeAtomically } from "@dmae/core";

/** Writes a file whole or not at all, in a folder that is made if it is not there. */
export async function writeWhole(
  caller: string,
  file: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true }).catch((cause) => {
    throw fileError(caller, "make the folder", dirname(file), cause);
  });
  await writeAtomically(caller, file, chunks);
}
