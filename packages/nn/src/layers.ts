/** What a model is written with: layers, initializers, parameter specs and the resizing of position embeddings. */
export { attention } from "./attention.ts";
export { type BatchNormResult, batchNorm } from "./batch-norm.ts";
export { type Conv2dOptions, conv2d } from "./conv2d.ts";
export { dropPath } from "./drop-path.ts";
export { gelu } from "./gelu.ts";
export {
  normalInit,
  ones,
  orthogonal,
  truncatedNormal,
  uniformInit,
  xavierUniform,
  zeros,
} from "./init.ts";
export { layerNorm } from "./layer-norm.ts";
export { linear } from "./linear.ts";
export { normalize } from "./normalize.ts";
export {
  checkParameters,
  constantSpec,
  initializeParameters,
  type ParameterSpec,
  type ParameterSpecs,
} from "./parameter-specs.ts";
export { bicubicMatrix, resizeBicubic } from "./resize-bicubic.ts";
export { withoutGradient } from "./without-gradient.ts";
