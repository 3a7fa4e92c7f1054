export {
  type ConsistencyMode,
  type ConsistencyOptions,
  consistencyLoss,
} from "./consistency-loss.ts";
export { entropy, klDivergence } from "./divergence.ts";
