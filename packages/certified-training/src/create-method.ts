import { DmaeError } from "@dmae/core";
import { show } from "@dmae/core/checks";
import { type CatRsSettings, catRs } from "./cat-rs.ts";
import { requireSettings } from "./check-settings.ts";
import { type ConsistencyTrainingSettings, consistency } from "./consistency.ts";
import { type GaussianSettings, gaussian } from "./gaussian.ts";
import { type MacerSettings, macer } from "./macer.ts";
import type { TrainingMethod } from "./method.ts";
import { type SmoothAdvSettings, smoothAdv } from "./smooth-adv.ts";
import { type SmoothMixSettings, smoothMix } from "./smooth-mix.ts";
import { type StabilitySettings, stability } from "./stability.ts";

/** A method as plain JSON, as recipes have it. */
export type MethodSettings =
  | ({ readonly name: "gaussian" } & GaussianSettings)
  | ({ readonly name: "stability" } & StabilitySettings)
  | ({ readonly name: "smoothAdv" } & SmoothAdvSettings)
  | ({ readonly name: "macer" } & MacerSettings)
  | ({ readonly name: "consistency" } & ConsistencyTrainingSettings)
  | ({ readonly name: "smoothMix" } & SmoothMixSettings)
  | ({ readonly name: "catRs" } & CatRsSettings);

const methods = { gaussian, stability, smoothAdv, macer, consistency, smoothMix, catRs };

/**
 * Makes a method from its settings.
 *
 * @throws DmaeError "argument" for an unknown name or a setting outside its range
 * @example
 * ```ts
 * const method = createMethod({ name: "stability", lambda: 2 }); // stability({ lambda: 2 })
 * ```
 */
export function createMethod(given: MethodSettings): TrainingMethod {
  requireSettings("createMethod", given);
  const { name, ...settings } = given;
  if (!Object.hasOwn(methods, name))
    throw new DmaeError(
      "argument",
      `createMethod: name must be one of ${Object.keys(methods).join(", ")}, got ${show(name)}`,
    );
  return (methods[name] as (settings: object) => TrainingMethod)(settings);
}
