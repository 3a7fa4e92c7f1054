export { type CatRsSettings, catRs } from "./cat-rs.ts";
export {
  type ConsistencyAttack,
  type ConsistencyTrainingSettings,
  consistency,
} from "./consistency.ts";
export { createMethod, type MethodSettings } from "./create-method.ts";
export { type GaussianSettings, gaussian } from "./gaussian.ts";
export { type MacerSettings, macer } from "./macer.ts";
export type { MethodBatch, MethodDraws, MethodResult, TrainingMethod } from "./method.ts";
export { type SmoothAdvSettings, smoothAdv } from "./smooth-adv.ts";
export { type SmoothMixSettings, smoothMix } from "./smooth-mix.ts";
export { type StabilitySettings, stability } from "./stability.ts";
