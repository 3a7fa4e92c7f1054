import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { TensorSpec, TensorSpecs } from "@dmae/nn";
import { checkInputs } from "./check-values.ts";
import { describeValue, isRecord } from "./describe-value.ts";
import { checkedRecord, flatten, isSpec, type NestedSpecs } from "./nested.ts";

/** Specs laid flat. */
export function flatSpecs(caller: string, specs: NestedSpecs): TensorSpecs {
  const is = (value: unknown) => isSpec(value as TensorSpec);
  const record = checkedRecord(caller, "specs", specs, "a record of specs {shape, dtype}");
  return flatten(caller, record, { is, expected: "a spec {shape, dtype} or a record of specs" });
}

/** Checks specs that are flat. */
export function checkSpecs(caller: string, what: string, specs: TensorSpecs): void {
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
}

/** Names that nothing but the inputs may have: those of the record, and of its tensors. */
export const namesOf = (specs: NestedSpecs, flat: TensorSpecs): string[] => [
  ...Object.keys(specs),
  ...Object.keys(flat),
];

/** Host values laid flat, compared with the specs. */
export function flatInputs(caller: string, inputs: unknown, specs: TensorSpecs): HostTensors {
  // Whatever is no record, or stands where a tensor should, is left for checkInputs to name.
  const is = (value: unknown, path: string) =>
    Object.hasOwn(specs, path) || !isRecord(value) || isSpec(value as unknown as TensorSpec);
  const flat = isRecord(inputs)
    ? flatten<HostTensor>(caller, inputs, { is, expected: "" })
    : inputs;
  checkInputs(caller, flat as HostTensors, specs);
  return flat as HostTensors;
}
