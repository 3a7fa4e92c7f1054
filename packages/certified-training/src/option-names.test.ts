import { testOptionNames } from "../../../testing/option-names.ts";
import * as api from "./index.ts";

testOptionNames(
  api,
  {
    catRs: (settings) => api.catRs(settings),
    consistency: (settings) => api.consistency(settings),
    "consistency (attack) > consistency: attack": (attack) =>
      api.consistency({ copies: 2, lambda: 1, attack }),
    gaussian: (settings) => api.gaussian(settings),
    macer: (settings) => api.macer(settings),
    smoothAdv: (settings) => api.smoothAdv(settings),
    smoothMix: (settings) => api.smoothMix(settings),
    stability: (settings) => api.stability(settings),
  },
  ["createMethod"], // hands its settings to the method
);
