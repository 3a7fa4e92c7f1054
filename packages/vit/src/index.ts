export { type BlockOptions, block, initBlock } from "./block.ts";
export {
  CIFAR10_NORMALIZATION,
  IMAGENET_NORMALIZATION,
  resolveConfig,
  type ViTConfig,
  type ViTName,
  type ViTOptions,
  viTConfigNames,
} from "./config.ts";
export {
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type ShapeMismatch,
  type TensorSource,
} from "./from-pretrained.ts";
export { layerId } from "./layer-id.ts";
export {
  initPatchEmbed,
  type PatchEmbedShape,
  patchEmbed,
  patchify,
  unpatchify,
} from "./patches.ts";
export { interpolatePositions, sincosPositions2d } from "./positions.ts";
export { tiny } from "./tiny.ts";
export { type AblationClassifier, visibleTokens } from "./visible-tokens.ts";
export {
  createViT,
  parameterShapes,
  positionTensor,
  type ViT,
  type ViTApplyOptions,
} from "./vit.ts";
