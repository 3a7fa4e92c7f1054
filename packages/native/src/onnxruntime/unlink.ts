import { checkOptions } from "../check-options.ts";
import { removeProvider } from "./installed.ts";
import { findOnnxRuntime } from "./package.ts";

/** What {@link unlinkOnnxRuntime} found. */
export interface OnnxRuntimeUnlink {
  /** `absent` when there was no provider of ours. */
  readonly status: "unlinked" | "absent";
  /** The folder that the provider and the links were removed from. */
  readonly folder: string;
}

/**
 * Removes the CUDA provider and the links that {@link linkOnnxRuntime} made, and restores the provider that was there before, if
 * any. The fetched wheels stay in the cache folder; remove that folder to free the disk.
 *
 * @param options `project`: a folder of the program that uses `onnxruntime-node`; default the working directory
 */
export async function unlinkOnnxRuntime(
  options: { readonly project?: string } = {},
): Promise<OnnxRuntimeUnlink> {
  checkOptions("unlinkOnnxRuntime", options, { project: true });
  const { libraries } = findOnnxRuntime("unlink", options.project ?? ".");
  const removed = await removeProvider(libraries);
  return { status: removed ? "unlinked" : "absent", folder: libraries };
}
