import { DmaeError } from "@dmae/core";
import { describeValue } from "@dmae/nn/executors";

/** Checks that new names belong to inputs and outputs, which must not share theirs, and are strings. */
export function checkNames(
  inputNames: readonly string[],
  outputNames: readonly string[],
  names: Readonly<Record<string, string>>,
): void {
  const both = inputNames.find((name) => outputNames.includes(name));
  if (both !== undefined)
    throw new DmaeError(
      "argument",
      `exportOnnx: an input and an output are both called ${both}; let the function return it under another name`,
    );
  const known = [...inputNames, ...outputNames];
  const unknown = Object.keys(names).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new DmaeError(
      "argument",
      `exportOnnx: names must rename ${known.join(", ")}, got ${unknown.join(", ")}`,
      { unknown },
    );
  for (const [name, wanted] of Object.entries(names))
    if (typeof wanted !== "string" || wanted === "")
      throw new DmaeError(
        "argument",
        `exportOnnx: the new name of ${name} must be a string that is not empty, got ${describeValue(wanted)}`,
      );
}

/** The name of a tensor in a file is all that tells it from others. */
export function checkDifferent(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new DmaeError(
      "argument",
      `exportOnnx: every input and output needs a name of its own, but two are called ${twice}; change names`,
    );
}
