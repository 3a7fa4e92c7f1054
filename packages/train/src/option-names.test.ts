import { testOptionNames } from "../../../testing/option-names.ts";
import * as main from "./index.ts";
import * as tasks from "./tasks.ts";

const api = { ...main, ...tasks };

testOptionNames(
  api,
  {
    adam: (options) => api.adam(options),
    adamw: (options) => api.adamw(options),
    cosineSchedule: (options) => api.cosineSchedule(options),
    createTrainStep: (options) => api.createTrainStep(options),
    decayGroups: (options) => api.decayGroups({}, options),
    fit: (options) => api.fit(options),
    lars: (options) => api.lars(options),
    layerDecayGroups: (options) => api.layerDecayGroups({}, options),
    sgd: (options) => api.sgd(options),
    stepSchedule: (options) => api.stepSchedule(options),
    trainModel: (options) => api.trainModel({} as never, {} as never, options),
  },
  [
    "augmentationOperations",
    "batchNoise",
    "checkRecipe",
    "checksum",
    "deepFreeze",
    "inOrderOf",
    "noiseKeys",
    "prefixed",
    "rankExecutor",
    "rankRows",
    "rankThreads",
    "rootKey",
    "scalarTensors",
    "scaledLearningRate",
    "specsOf",
    "taskStep",
    "torchGroups",
    "trainingNames",
    "trainingPosition",
    "trainingRecipeNames",
    "unprefixed",
    "withDefaultBatch",
  ],
);
