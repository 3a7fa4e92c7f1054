/** Parts of a Vision Transformer, for models that are built from them, such as the decoder of `@dmae/pretrain`. */
export { type BlockOptions, block, initBlock } from "./block.ts";
export { viTConfigNames } from "./config.ts";
export { layerId } from "./layer-id.ts";
export { patchify } from "./patches.ts";
export { parameterShapes, positionTensor } from "./vit.ts";
