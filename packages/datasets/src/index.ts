export { type ArrayDataset, type ArrayDatasetOptions, arrayDataset } from "./array-dataset.ts";
export { type BatchLoader, batchLoader } from "./batch-loader.ts";
export type { BatchOptions, ImageTransform, TransformContext } from "./batch-options.ts";
export { batches } from "./batches.ts";
export { type CifarOptions, cifar10Classes, loadCifar10, loadCifar100 } from "./cifar.ts";
export type { DecodeLimits, ImageLocation, PixelDataset, Split, Splits } from "./dataset.ts";
export { decodeImage } from "./decode.ts";
export type { EncodedDataset, EncodedOptions } from "./encoded-dataset.ts";
export { fashionMnist } from "./fashion-mnist.ts";
export { findCorruptImages } from "./find-corrupt-images.ts";
export { type ImageFolderOptions, loadImageFolder } from "./image-folder.ts";
export { createImageWorkers, type ImageWorkers } from "./image-workers.ts";
export { type IdxOptions, loadIdx } from "./load-idx.ts";
export {
  centerCrop,
  evaluationTransform,
  type ImageOperation,
  imagenetMean,
  imagenetStd,
  randAugment,
  randomCrop,
  randomErasing,
  randomHorizontalFlip,
  randomResizedCrop,
  resize,
} from "./operations.ts";
export { type LabeledPixels, type PixelImage, toUnit } from "./pixels.ts";
export type { RandAugmentConfig } from "./rand-augment.ts";
export type { LoadedBatch } from "./render-batch.ts";
export { resizePixels } from "./resize.ts";
export { type SampleOptions, type SplitOptions, sample, splitDataset } from "./sample.ts";
export { type SyntheticOptions, synthetic } from "./synthetic.ts";
export { loadTarShards, type TarShardOptions } from "./tar-shards.ts";
export { everyNth, subset, take } from "./views.ts";
export { writeCifar10 } from "./write-cifar.ts";
export { type WriteTarOptions, writeTarShards } from "./write-tar-shards.ts";
