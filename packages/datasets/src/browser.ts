// What runs in browsers: images in memory and their batches. Bundlers take it through the condition "browser".
export { type ArrayDataset, type ArrayDatasetOptions, arrayDataset } from "./array-dataset.ts";
export { type BatchLoader, batchLoader } from "./batch-loader.ts";
export type { BatchOptions, ImageTransform, TransformContext } from "./batch-options.ts";
export { batches } from "./batches.ts";
export type { PixelDataset, Split, Splits } from "./dataset.ts";
export type { ImageWorkers } from "./image-workers.ts";
export type { ImageOperation } from "./operations.ts";
export type { LabeledPixels, PixelImage } from "./pixels.ts";
export type { LoadedBatch } from "./render-batch.ts";
export { type SampleOptions, type SplitOptions, sample, splitDataset } from "./sample.ts";
export { type SyntheticOptions, synthetic } from "./synthetic.ts";
export { everyNth, subset, take } from "./views.ts";
