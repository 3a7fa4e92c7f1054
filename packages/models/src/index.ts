export type { ModelCard, ModelConfig, ModelFile, ModelName } from "./card.ts";
export {
  modelCards,
  type PretrainedClassifier,
  type PretrainedOptions,
  pretrained,
} from "./pretrained.ts";
