import { writeAtomically } from "@dmae/core/files";
import type { StoredTensors } from "./dtypes.ts";
import { type Metadata, safetensorsParts } from "./safetensors.ts";

/**
 * Writes a safetensors file in one step that cannot be seen half done: into a temporary file of the
 * same folder, flushed to the disk, then renamed over `path`. Node only; elsewhere use
 * `encodeSafetensors`.
 *
 * @param path file to create or replace; its folder must exist
 * @param tensors name -> tensor
 * @param metadata strings only
 * @throws DmaeError as `encodeSafetensors`; "file" where the file cannot be written
 *
 * @example
 * ```ts
 * await saveSafetensors("run/model.safetensors", parameters, { seed: "1", epoch: "399" });
 * ```
 */
export async function saveSafetensors(
  path: string,
  tensors: StoredTensors,
  metadata: Metadata = {},
): Promise<void> {
  const parts = safetensorsParts("saveSafetensors", tensors, metadata);
  await writeAtomically("saveSafetensors", path, parts);
}
