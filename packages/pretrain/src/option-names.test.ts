import type * as tf from "@tensorflow/tfjs-core";
import { testOptionNames } from "../../../testing/option-names.ts";
import * as api from "./index.ts";

const tensor = {} as tf.Tensor; // not looked at
const recipe = api.pretrainRecipes["dmae-vit-b-cifar10-continued"];
const config = { width: 4, depth: 1, heads: 1 };

testOptionNames(
  api,
  {
    "checkPretrainRecipe > pretrain": (fields) => api.checkPretrainRecipe(fields),
    createDmae: (options) => api.createDmae(options),
    "createDmae (overrides)": (options) => api.createDmae(config, options),
    dmaeLoss: (options) => api.dmaeLoss(tensor, tensor, options),
    pretrain: (options) => api.pretrain(recipe, {} as never, options),
    "pretrain (recipe)": (fields) => api.pretrain(fields, {} as never),
    pretrainInputs: (options) => api.pretrainInputs({} as never, options),
    pretrainRecipe: (fields) => api.pretrainRecipe(fields),
    randomMasking: (options) => api.randomMasking(new Float32Array(), options),
    "resolveDmaeConfig > createDmae": (options) => api.resolveDmaeConfig(options),
  },
  ["patchStatistics", "pretrainRecipes", "pretrainTask", "visiblePatches"],
);
