import { DmaeError } from "@dmae/core";
import { checkOptions, show } from "@dmae/core/checks";

type Rule = readonly [test: (value: number) => boolean, text: string];

/** 1, 2, 3 … */
export const positiveInteger: Rule = [
  (v) => Number.isSafeInteger(v) && v >= 1,
  "a positive integer",
];
/** 0, 1, 2 … */
export const wholeNumber: Rule = [
  (v) => Number.isSafeInteger(v) && v >= 0,
  "an integer, 0 or more",
];
/** Finite, above 0. */
export const positive: Rule = [(v) => v > 0 && Number.isFinite(v), "positive and finite"];
/** Finite, 0 or more. */
export const nonNegative: Rule = [(v) => v >= 0 && Number.isFinite(v), "0 or more and finite"];

/** Throws unless the settings of a method are an object. */
export function requireSettings(method: string, settings: object): void {
  if (typeof settings !== "object" || settings === null)
    throw new DmaeError("argument", `${method}: settings must be an object, got ${show(settings)}`);
}

/**
 * Throws for names that the method does not know, and for the first setting that breaks its rule.
 *
 * @param defaults values in place of those in `settings`
 */
export function checkSettings(
  method: string,
  settings: object,
  rules: Readonly<Record<string, Rule | null>>,
  defaults: object = {},
): void {
  const names = Object.fromEntries(Object.keys(rules).map((name) => [name, true]));
  checkOptions(method, settings, names, "setting");
  const values: Readonly<Record<string, unknown>> = { ...settings, ...defaults };
  for (const [name, rule] of Object.entries(rules)) {
    if (rule === null) continue;
    const value = values[name];
    if (typeof value !== "number" || !rule[0](value))
      throw new DmaeError("argument", `${method}: ${name} must be ${rule[1]}, got ${show(value)}`, {
        value,
      });
  }
}

/** Linear growth from epoch 0 to its full value in epoch `warmupEpochs - 1`: `min(1, (epoch + 1) / warmupEpochs)`. */
export const warmup = (epoch: number, warmupEpochs: number): number =>
  Math.min(1, (epoch + 1) / warmupEpochs);
