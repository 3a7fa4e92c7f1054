import { testOptionNames } from "../../../testing/option-names.ts";
import * as main from "./index.ts";
import * as tasks from "./tasks.ts";

const api = { ...main, ...tasks };

const recipe = api.pretrainRecipes["dmae-vit-b-cifar10-continued"];
const config = { width: 4, depth: 1, heads: 1 };

testOptionNames(
  api,
  {
    createDmae: (options) => api.createDmae(options),
    "createDmae (overrides)": (options) => api.createDmae(config, options),
    pretrain: (options) => api.pretrain(recipe, {} as never, options),
    "pretrain (recipe)": (fields) => api.pretrain(fields, {} as never),
    pretrainInputs: (options) => api.pretrainInputs({} as never, options),
    pretrainRecipe: (fields) => api.pretrainRecipe(fields),
    "resolveDmaeConfig > createDmae": (options) => api.resolveDmaeConfig(options),
  },
  ["checkPretrainRecipe", "pretrainRecipes", "pretrainTask"],
);
