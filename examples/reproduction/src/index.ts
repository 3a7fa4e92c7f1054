export { runMain } from "./main.ts";
export type {
  CertificationSettings,
  ClassifierRecipe,
  DatasetName,
  EvaluationSettings,
  FinetuningRecipe,
  PretrainingRecipe,
  ProbingRecipe,
  PublishedAccuracy,
  Recipe,
  Stage,
} from "./recipe.ts";
export { isClassifierRecipe } from "./recipe.ts";
export { type Example, reproduce } from "./reproduce.ts";
