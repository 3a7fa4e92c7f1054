/** What a new kind of training is built from; `@dmae/pretrain` and `@dmae/finetune` are. */
export { deepFreeze } from "./deep-freeze.ts";
export { withDefaultBatch } from "./default-batch.ts";
export { specsOf } from "./fit.ts";
export { prefixed, scalarTensors } from "./names.ts";
export { batchNoise } from "./noise.ts";
export { torchGroups } from "./torch-groups.ts";
export { rootKey, trainingNames, trainingRecipeNames } from "./train-model.ts";
