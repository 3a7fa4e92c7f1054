import { DmaeError } from "@dmae/core";

/** What products and attention are computed in. */
export type Precision = "float32" | "bfloat16" | "float16";

const precisions: readonly Precision[] = ["float32", "bfloat16", "float16"];

/**
 * The precision that `--precision` names.
 *
 * @throws DmaeError "argument" for another name
 */
export function precisionOf(name = "float32"): Precision {
  const known = precisions.find((precision) => precision === name);
  if (known) return known;
  throw new DmaeError("argument", `--precision: must be ${precisions.join(", ")}, got ${name}`);
}
