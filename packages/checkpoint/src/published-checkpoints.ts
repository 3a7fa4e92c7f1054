import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { cacheFolder } from "@dmae/core/files";
import { type DownloadOptions, download, transferNames } from "./download.ts";
import { findFault } from "./verify-file.ts";

/** Names that {@link downloadCheckpoint} knows. */
export type CheckpointName =
  | "mae_pretrain_vit_base"
  | "mae_pretrain_vit_large"
  | "mae_pretrain_vit_huge"
  | "mae_finetuned_vit_base"
  | "mae_finetuned_vit_large"
  | "mae_finetuned_vit_huge"
  | "dmae_base"
  | "dmae_large";

/** A checkpoint that its authors publish. */
export interface PublishedCheckpoint {
  /** What it is. */
  readonly title: string;
  /** Where the file lies, or the page with the file for a browser. */
  readonly url: string;
  /** First digits of the MD5 that the authors give. */
  readonly md5?: string;
  /** Size as the authors give it, where they do. */
  readonly size?: string;
  /** True where the link opens a page for people, not the file. */
  readonly needsBrowser: boolean;
  /** Licence of the weights. */
  readonly license: string;
}

const license = "CC-BY-NC 4.0";
const mae = (kind: "pretrain" | "finetune", size: string, md5: string): PublishedCheckpoint => ({
  title: `MAE ViT-${size}, ${kind === "pretrain" ? "pre-trained" : "fine-tuned"} on ImageNet-1K`,
  url: `https://dl.fbaipublicfiles.com/mae/${kind}/mae_${kind === "pretrain" ? "pretrain" : "finetuned"}_vit_${size.toLowerCase()}.pth`,
  md5,
  needsBrowser: false,
  license,
});

/**
 * Checkpoints of the official repositories: MAE (facebookresearch/mae README.md and FINETUNE.md, which
 * give six digits of each MD5) and DMAE (quanlin-wu/dmae README.md, behind OneDrive pages).
 */
export const publishedCheckpoints: Readonly<Record<CheckpointName, PublishedCheckpoint>> =
  Object.freeze({
    mae_pretrain_vit_base: mae("pretrain", "Base", "8cad7c"),
    mae_pretrain_vit_large: mae("pretrain", "Large", "b8b06e"),
    mae_pretrain_vit_huge: mae("pretrain", "Huge", "9bdbb0"),
    mae_finetuned_vit_base: mae("finetune", "Base", "1b25e9"),
    mae_finetuned_vit_large: mae("finetune", "Large", "51f550"),
    mae_finetuned_vit_huge: mae("finetune", "Huge", "2541f2"),
    dmae_base: {
      title: "DMAE ViT-Base, pre-trained for 1100 epochs on ImageNet-1K",
      url: "https://1drv.ms/u/s!AnxRCBR6qpJqiiyVY-qxN_AKNwhA?e=Xb6mlj",
      size: "427 MB",
      needsBrowser: true,
      license,
    },
    dmae_large: {
      title: "DMAE ViT-Large, pre-trained for 1600 epochs on ImageNet-1K",
      url: "https://1drv.ms/u/s!AnxRCBR6qpJqii1fTOzAG3tBSDn6?e=PxxadF",
      size: "1.23 GB",
      needsBrowser: true,
      license,
    },
  });

/**
 * Downloads a published checkpoint, verified, into the cache, and gives its path. DMAE's files lie
 * behind pages that need a browser: where the file is not there yet, the error says which link to open
 * and where to put the file; once it lies there, its path is returned. Node only.
 *
 * @param name one of {@link publishedCheckpoints}
 * @param options as for `download`; `to` is where the file is, or goes
 * @throws DmaeError "argument" for an unknown name; "unsupported" for a file that needs a browser;
 *   "file" as `download`
 *
 * @example
 * ```ts
 * const checkpoint = await loadCheckpoint(await downloadCheckpoint("mae_pretrain_vit_base"));
 * ```
 */
export async function downloadCheckpoint(
  name: CheckpointName,
  options: Omit<DownloadOptions, "md5" | "sha256" | "size"> = {},
): Promise<string> {
  const caller = "downloadCheckpoint";
  checkOptions(caller, options, { ...transferNames, resume: true, maxBytes: true });
  const known = Object.hasOwn(publishedCheckpoints, name) ? publishedCheckpoints[name] : undefined;
  if (!known)
    throw new DmaeError(
      "argument",
      `${caller}: unknown checkpoint "${name}"; known are ${Object.keys(publishedCheckpoints).join(", ")}`,
    );
  const { join } = await import("node:path");
  const to = options.to ?? join(await cacheFolder(), `${name}.pth`);
  if (!known.needsBrowser)
    return download(known.url, { ...options, ...(known.md5 ? { md5: known.md5 } : {}), to });
  const missing = await findFault(to, {}).catch(() => "it is not there");
  if (missing === undefined) return to;
  throw new DmaeError(
    "unsupported",
    `${caller}: ${known.title} (${known.size}) lies behind a page that needs a browser: open ${known.url}, save the file as ${to}, then try again`,
    { name, url: known.url, to },
  );
}
