export type { ModelCard, ModelFile } from "./card.ts";
export type { ModelName } from "./catalogue.ts";
export {
  modelCards,
  type PretrainedClassifier,
  type PretrainedOptions,
  pretrained,
} from "./pretrained.ts";
