import { testOptionNames } from "../../../testing/option-names.ts";
import * as main from "./index.ts";
import * as tasks from "./tasks.ts";

const api = { ...main, ...tasks };

const none = {} as never; // not looked at
const recipe = api.finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"];
const probe = api.linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"];

testOptionNames(
  api,
  {
    denoiserRecipe: (fields) => api.denoiserRecipe(fields),
    evaluate: (options) => api.evaluate(none, none, none, options),
    finetuneInputs: (options) => api.finetuneInputs(none, none, options),
    finetuneRecipe: (fields) => api.finetuneRecipe(fields),
    linearProbeRecipe: (fields) => api.linearProbeRecipe(fields),
    linearProbe: (options) => api.linearProbe(probe, none, options),
    "linearProbe (recipe)": (fields) => api.linearProbe(fields, none, none),
    prepareClassifier: (options) => api.prepareClassifier(none, none, options),
    prepareEvaluation: (options) => api.prepareEvaluation(none, none, options),
    robustFinetune: (options) => api.robustFinetune(recipe, none, options),
    trainDenoiser: (options) => api.trainDenoiser(none, none, options),
    "trainDenoiser (recipe)": (fields) => api.trainDenoiser(fields, none),
    "robustFinetune (recipe)": (fields) => api.robustFinetune(fields, none),
  },
  [
    ...["buildModel", "checkFinetuneRecipe", "checkProbeRecipe"],
    ...["finetuneRecipes", "finetuneTask", "linearProbeRecipes", "sgdSchedule"],
  ],
);
