export * from "./browser.ts";
export { type CifarOptions, loadCifar10, loadCifar100 } from "./cifar.ts";
export type { DecodeLimits, ImageLocation } from "./dataset.ts";
export type { EncodedDataset, EncodedOptions } from "./encoded-dataset.ts";
export { fashionMnist } from "./fashion-mnist.ts";
export { type ImageFolderOptions, loadImageFolder } from "./image-folder.ts";
export { type IdxOptions, loadIdx } from "./load-idx.ts";
export { loadTarShards, type TarShardOptions } from "./tar-shards.ts";
