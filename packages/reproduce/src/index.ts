export type { Downloads } from "./downloads.ts";
export { runMain } from "./main.ts";
export type {
  CertificationSettings,
  ClassifierRecipe,
  ConvNetRecipe,
  DatasetName,
  EnsembleSettings,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  ProbingRecipe,
  PublishedAccuracy,
  Recipe,
  Stage,
} from "./recipe.ts";
export { type Example, reproduce } from "./reproduce.ts";
