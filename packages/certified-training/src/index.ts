export { type CatRsSettings, catRs } from "./cat-rs.ts";
export { type ConsistencyAttack, type ConsistencySettings, consistency } from "./consistency.ts";
export { type GaussianSettings, gaussian } from "./gaussian.ts";
export { type MacerSettings, macer } from "./macer.ts";
export type { Objective, ObjectiveBatch, ObjectiveDraws, ObjectiveResult } from "./objective.ts";
export { type SmoothAdvSettings, smoothAdv } from "./smooth-adv.ts";
export { type SmoothMixSettings, smoothMix } from "./smooth-mix.ts";
export { type StabilitySettings, stability } from "./stability.ts";
