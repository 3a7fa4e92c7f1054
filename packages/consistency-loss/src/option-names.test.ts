import { testOptionNames } from "../../../testing/option-names.ts";
import * as divergence from "./divergence.ts";
import * as main from "./index.ts";

const api = { ...main, ...divergence };

testOptionNames(api, { consistencyLoss: (options) => api.consistencyLoss([], options) }, [
  "entropy",
  "klDivergence",
]);
