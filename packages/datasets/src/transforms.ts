/** Operations on images, composed into the `transform` of a data set's batches; and which data sets have the bytes for them. */
export { isPixelDataset } from "./dataset.ts";
export {
  centerCrop,
  evaluationTransform,
  randAugment,
  randomCrop,
  randomErasing,
  randomHorizontalFlip,
  randomResizedCrop,
  resize,
} from "./operations.ts";
export { toUnit } from "./pixels.ts";
export type { RandAugmentConfig } from "./rand-augment.ts";
export { resizePixels } from "./resize.ts";
