/** Parts of a Vision Transformer, for models that are built from them, such as the decoder of `@dmae/pretrain`. */
export { type BlockOptions, block, initBlock } from "./block.ts";
export { CIFAR10_NORMALIZATION, IMAGENET_NORMALIZATION, viTConfigNames } from "./config.ts";
export { layerId } from "./layer-id.ts";
export { patchify, projectPatches, unpatchify } from "./patches.ts";
export {
  type AblationClassifier,
  type PreparedAblationClassifier,
  type VisibleTokensOptions,
  visibleTokens,
} from "./visible-tokens.ts";
export { parameterShapes, positionTensor } from "./vit.ts";
