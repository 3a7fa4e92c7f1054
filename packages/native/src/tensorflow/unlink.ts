import { checkOptions } from "../check-options.ts";
import { findPackage, uninstallAddon } from "./addon.ts";

/** What {@link unlinkTensorFlow} found. */
export interface TensorFlowUnlink {
  /** `absent` when there was no addon. */
  readonly status: "unlinked" | "absent";
  /** The file that was taken away, or replaced by the addon that was there before `link`. */
  readonly addon: string;
}

/**
 * Takes the linked addon away and puts back the one that was there before {@link linkTensorFlow}, if any. The fetched TensorFlow
 * stays in the cache folder; remove that folder to free the disk.
 *
 * @param options `project`: a folder of the program that uses `@tensorflow/tfjs-node`; default the working directory
 * @throws {@link NativeError} of code `foreign` for an addon that `link` did not put there
 */
export async function unlinkTensorFlow(
  options: { readonly project?: string } = {},
): Promise<TensorFlowUnlink> {
  checkOptions("unlinkTensorFlow", options, { project: true });
  const installed = findPackage("unlink", options.project ?? ".");
  const removed = await uninstallAddon(installed);
  return { status: removed ? "unlinked" : "absent", addon: installed.addon };
}
