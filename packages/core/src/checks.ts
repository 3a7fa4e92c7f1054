/** Checks of what a user passes or a file holds; their errors name the rule and the nearest good name. */
export { show } from "./check.ts";
export { checkOptions, type OptionNames } from "./check-options.ts";
export { datasetName } from "./dataset-name.ts";
export { defined } from "./defined.ts";
export { nameDistance, nearestNames } from "./nearest-names.ts";
export type { OptionKind } from "./option-kinds.ts";
export { outsideUnit } from "./outside-unit.ts";
export { refusePromise } from "./refuse-promise.ts";
export { standIn } from "./stand-in.ts";
export { parseStrictJson } from "./strict-json.ts";
