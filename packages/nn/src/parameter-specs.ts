import { DmaeError, foldIn, type HostTensor, type Key } from "@dmae/core";
import type { Params } from "./params.ts";

/** A parameter's shape, and how its values are drawn from a key of its own. */
export interface ParameterSpec {
  /** Dimensions. */
  readonly shape: readonly number[];
  /** Draws the values. */
  readonly initialize: (key: Key, shape: readonly number[]) => HostTensor;
}

/** Specs by name, in the order of the model. */
export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** Values for every spec; each follows from `key` and its own name. */
export function initializeParameters(key: Key, specs: ParameterSpecs): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [
      name,
      spec.initialize(foldIn(key, name), spec.shape),
    ]),
  );
}

/** A parameter that starts as the same number everywhere. */
export function constantSpec(
  shape: readonly number[],
  fill: (shape: readonly number[]) => HostTensor,
): ParameterSpec {
  return { shape, initialize: (_, own) => fill(own) };
}

/** Throws a DmaeError "shape" that lists every parameter which is missing or of another shape. */
export function checkParameters(caller: string, specs: ParameterSpecs, params: Params): void {
  const wrong = Object.entries(specs).flatMap(([name, { shape }]) => {
    const tensor = params[name];
    if (!tensor) return `${name} [${shape}] is missing`;
    return `${tensor.shape}` === `${shape}`
      ? []
      : `${name} must be [${shape}], got [${tensor.shape}]`;
  });
  if (wrong.length > 0)
    throw new DmaeError("shape", `${caller}: params do not fit the model: ${wrong.join("; ")}`, {
      wrong,
    });
}
