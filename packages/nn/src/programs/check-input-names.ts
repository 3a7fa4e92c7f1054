import { DmaeError } from "@dmae/core";
import type { TensorSpecs } from "./nested.ts";

/**
 * Checks that inputs have the names of their specs, for those who write an executor.
 *
 * @param caller whose error it is, `run`
 * @throws DmaeError "argument" naming those that are missing and those that are unknown
 */
export function checkInputNames(
  caller: string,
  inputs: Readonly<Record<string, unknown>>,
  specs: TensorSpecs,
): void {
  const missing = Object.keys(specs).filter((name) => inputs[name] == null);
  const unknown = Object.keys(inputs).filter((name) => !specs[name]);
  if (missing.length > 0 || unknown.length > 0)
    throw new DmaeError(
      "argument",
      `${caller}: inputs must be ${Object.keys(specs).join(", ")}; missing: ${missing.join(", ") || "none"}, unknown: ${unknown.join(", ") || "none"}`,
      { missing, unknown },
    );
}
