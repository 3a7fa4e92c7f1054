export type { ViTConfig, ViTName, ViTOptions } from "./config.ts";
export {
  type FromPretrainedOptions,
  fromPretrained,
  type PretrainedReport,
  type ShapeMismatch,
  type TensorSource,
} from "./from-pretrained.ts";

export { tiny } from "./tiny.ts";
export { createViT, type ViT, type ViTApplyOptions } from "./vit.ts";
