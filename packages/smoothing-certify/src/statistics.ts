/** Statistics beyond the bounds of the procedures. */

export {
  type Norm,
  type NormRadius,
  type NormRadiusOptions,
  radiusInNorm,
} from "./statistics/noises-and-norms.ts";
export { studentQuantile } from "./statistics/student-t.ts";
export { type TopKOptions, topKRadius } from "./statistics/top-k.ts";
