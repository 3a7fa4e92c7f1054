import { DmaeError } from "@dmae/core";
import { describeValue, isRecord } from "./describe-value.ts";
import {
  checkedRecord,
  flatten,
  type InputSpecs,
  isSpec,
  type SpecOrShape,
  type TensorSpec,
  type TensorSpecs,
} from "./nested.ts";

/** Specs laid flat, shapes completed to specs. */
export function flatSpecs(caller: string, specs: InputSpecs): TensorSpecs {
  const record = checkedRecord(caller, "specs", specs, "a record of specs {shape, dtype}");
  const flat = flatten<SpecOrShape>(caller, record, {
    is: isSpec,
    expected: "a shape, a spec {shape, dtype} or a record of specs",
  });
  return Object.fromEntries(Object.entries(flat).map(([name, spec]) => [name, specOf(spec)]));
}

/** A spec, or a shape completed to one. */
export const specOf = (spec: SpecOrShape): TensorSpec =>
  Array.isArray(spec) ? { shape: spec } : (spec as TensorSpec);

/** Flat specs or shapes as specs. */
export function checkedSpecs(
  caller: string,
  what: string,
  specs: Readonly<Record<string, SpecOrShape>>,
): TensorSpecs {
  if (!isRecord(specs))
    throw new DmaeError(
      "argument",
      `${caller}: ${what} must be a record of specs {shape, dtype}, got ${describeValue(specs)}`,
    );
  for (const [name, spec] of Object.entries(specs))
    if (!isSpec(spec))
      throw new DmaeError(
        "argument",
        `${caller}: ${name} of ${what} must be a spec {shape, dtype}, got ${describeValue(spec)}`,
      );
  return flatSpecs(caller, specs);
}

/** Names that nothing but the inputs may have: those of the record, and of its tensors. */
export const namesOf = (specs: InputSpecs, flat: TensorSpecs): string[] => [
  ...Object.keys(specs),
  ...Object.keys(flat),
];
