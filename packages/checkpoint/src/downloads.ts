/** Published checkpoints and data sets: downloaded once, verified, kept in a cache folder. */
export { cacheFolder } from "@dmae/core/files";
export { type DownloadOptions, download } from "./download.ts";
export type { DownloadProgress } from "./download-attempt.ts";
export { type DownloadCifarOptions, downloadCifar10, downloadCifar100 } from "./download-cifar.ts";
export type { Fetch } from "./http-source.ts";
export {
  type CheckpointName,
  downloadCheckpoint,
  type PublishedCheckpoint,
  publishedCheckpoints,
} from "./published-checkpoints.ts";
export type { FileFacts } from "./verify-file.ts";
