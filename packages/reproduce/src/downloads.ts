import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type CheckpointName,
  cacheFolder,
  type DownloadOptions,
  downloadCheckpoint,
  downloadCifar10,
} from "@dmae/checkpoint/downloads";
import { DmaeError } from "@dmae/core";
import { progressLine } from "./progress.ts";
import type { DatasetName, Recipe } from "./recipe.ts";

/** How files are fetched; replaced in tests. */
export interface Downloads {
  /** The folder of CIFAR-10's binary files. */
  readonly cifar10: (options: Pick<DownloadOptions, "onProgress" | "signal">) => Promise<string>;
  /** The path of a published checkpoint. */
  readonly checkpoint: (
    name: CheckpointName,
    options: Pick<DownloadOptions, "onProgress" | "signal">,
  ) => Promise<string>;
}

/** The addresses of the authors. */
export const officialDownloads: Downloads = {
  cifar10: downloadCifar10,
  checkpoint: downloadCheckpoint,
};

/** Recipes whose result their authors publish. */
const publishedResults: Readonly<Record<string, CheckpointName>> = {
  "dmae-vit-b-imagenet-pretrain": "dmae_base",
  "dmae-vit-l-imagenet-pretrain": "dmae_large",
  "mae-vit-b-imagenet-pretrain": "mae_pretrain_vit_base",
};

/** What `--download` found or fetched. */
export interface Fetched {
  /** Folder of the images, by data set. */
  readonly data: Partial<Record<DatasetName, string>>;
  /** Checkpoint file, by the recipe whose result it is. */
  readonly results: Readonly<Record<string, string>>;
}

/** What the caller of {@link fetchFor} has already, and whom it tells. */
export interface FetchOptions {
  readonly data: string | undefined;
  readonly from: string | undefined;
  readonly downloads: Downloads;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches what recipes need and the user did not name: the images, and the checkpoint to begin with. What can be
 * fetched is; for what lies behind a page for browsers the error says which file, which link, which size, and where to
 * put it, everything at once.
 *
 * @throws DmaeError "unsupported" where a browser is needed; "file" as `download`
 */
export async function fetchFor(
  recipes: readonly Recipe[],
  { data, from, downloads, say, signal }: FetchOptions,
): Promise<Fetched> {
  const byHand: string[] = [];
  const found = { data: {} as Record<string, string>, results: {} as Record<string, string> };
  const attempt = async (label: string, work: (options: Progress) => Promise<string>) => {
    const line = progressLine(label, "MB", say);
    const options = { ...(signal ? { signal } : {}), onProgress: megabytes(line.update) };
    try {
      const path = await work(options);
      line.end(path);
      return path;
    } catch (error) {
      if (!DmaeError.isInstance(error) || error.code !== "unsupported") throw error;
      byHand.push(error.message);
      return undefined;
    }
  };
  for (const name of data === undefined ? datasetsOf(recipes) : []) {
    const path = await attempt(name, (options) =>
      name === "cifar10" ? downloads.cifar10(options) : imagenetFolder(),
    );
    if (path !== undefined) found.data[name] = path;
  }
  for (const start of from === undefined ? startsOf(recipes) : []) {
    const name = publishedResults[start]!;
    const path = await attempt(name, (options) => downloads.checkpoint(name, options));
    if (path !== undefined) found.results[start] = path;
  }
  if (byHand.length === 0) return found;
  throw new DmaeError(
    "unsupported",
    `--download: some files can only be had with a browser; put them in place, then start again\n\n${byHand.join("\n\n")}`,
  );
}

/**
 * Refuses, before anything is fetched, a recipe that begins with a result that nobody publishes.
 *
 * @throws DmaeError "argument" naming the recipe to run first
 */
export function requirePublished({ name, startsFrom }: Recipe): void {
  if (startsFrom === null || Object.hasOwn(publishedResults, startsFrom)) return;
  throw new DmaeError(
    "argument",
    `--download: ${name} begins with the result of ${startsFrom}, which nobody publishes; run that recipe first and name its run folder with --from`,
  );
}

/** What `--download` would look for, a line each. */
export function wanted(recipe: Recipe, { data, from }: Pick<FetchOptions, "data" | "from">) {
  return [
    ...(data === undefined ? datasetsOf([recipe]) : []),
    ...(from === undefined ? startsOf([recipe]).map((start) => publishedResults[start]!) : []),
  ];
}

type Progress = Pick<DownloadOptions, "onProgress" | "signal">;

const datasetsOf = (recipes: readonly Recipe[]) => [
  ...new Set(recipes.map(({ dataset }) => dataset)),
];

const startsOf = (recipes: readonly Recipe[]) =>
  [...new Set(recipes.map(({ startsFrom }) => startsFrom))].filter(
    (start): start is string => start !== null && Object.hasOwn(publishedResults, start),
  );

/** Progress in MB; nothing where the server does not say how much there is. */
const megabytes =
  (update: (done: number, total: number) => void): NonNullable<Progress["onProgress"]> =>
  ({ received, total }) => {
    if (total !== undefined) update(Math.round(received / 1e6), Math.ceil(total / 1e6));
  };

/** ImageNet cannot be fetched: it is given to people who ask for it. */
async function imagenetFolder(): Promise<string> {
  const folder = join(await cacheFolder(), "imagenet");
  const isThere = (split: string) => stat(join(folder, split)).catch(() => undefined);
  if ((await isThere("train")) && (await isThere("val"))) return folder;
  throw new DmaeError(
    "unsupported",
    `ImageNet-1K (ILSVRC2012) is given to registered researchers: log in at https://image-net.org/download-images.php and get
  ILSVRC2012_img_train.tar      147,897,477,120 bytes, MD5 1d675b47d978889d74fa0da5fadfb00e
  ILSVRC2012_img_val.tar        6,744,924,160 bytes, MD5 29b22e2961454d5413ddabcf34fc5622
  ILSVRC2012_devkit_t12.tar.gz  MD5 fa75699e90414af021442c21a62c3abf: the classes of the validation images
Unpack the first (a tar of one tar a class) to ${join(folder, "train", "<synset>")}, the second, sorted by the third, to
${join(folder, "val", "<synset>")}; or name the folder that holds train/ and val/ with --data.`,
    { folder },
  );
}
