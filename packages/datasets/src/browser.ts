// What runs in browsers: images in memory, their operations and batches. Bundlers take it through the condition "browser".
export { arrayDataset } from "./array-dataset.ts";
export { batchLoader } from "./batch-loader.ts";
export { batches } from "./batches.ts";
export {
  centerCrop,
  evaluationTransform,
  imagenetMean,
  imagenetStd,
  randAugment,
  randomCrop,
  randomErasing,
  randomHorizontalFlip,
  randomResizedCrop,
  resize,
} from "./operations.ts";
export { toUnit } from "./pixels.ts";
export { resizePixels } from "./resize.ts";
export { sample, splitDataset } from "./sample.ts";
export { synthetic } from "./synthetic.ts";
export { everyNth, subset, take } from "./views.ts";
