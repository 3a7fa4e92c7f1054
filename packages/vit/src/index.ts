export {
  CIFAR10_NORMALIZATION,
  IMAGENET_NORMALIZATION,
  resolveConfig,
  type ViTConfig,
  type ViTName,
  type ViTOptions,
} from "./config.ts";
export {
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type ShapeMismatch,
  type TensorSource,
} from "./from-pretrained.ts";

export { unpatchify } from "./patches.ts";

export { tiny } from "./tiny.ts";
export type { AblationClassifier } from "./visible-tokens.ts";
export { visibleTokens } from "./visible-tokens.ts";
export { createViT, type ViT, type ViTApplyOptions } from "./vit.ts";
