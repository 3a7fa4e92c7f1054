export {
  type ConsistencyMode,
  type ConsistencyOptions,
  consistencyLoss,
} from "./consistency-loss.ts";
