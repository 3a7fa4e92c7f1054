import { DmaeError, type HostTensors } from "@dmae/core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Tensors } from "../params.ts";
import { describeValue, ignoreRejection, isPromise } from "./describe-value.ts";
import {
  checkedRecord,
  flatten,
  type InFormOf,
  type InputSpecs,
  isSpec,
  isTensor,
  type NestedTensors,
  unflatten,
} from "./nested.ts";

/** The name of the output of a function that returns one tensor instead of a record. */
export const OUTPUT = "output";

/** Throws for what an async function returns. */
export function refusePromise(caller: string, result: unknown): void {
  if (!isPromise(result)) return;
  ignoreRejection(result);
  throw new DmaeError("argument", `${caller}: the function must be synchronous, got a promise`);
}

/** What a function returned, laid flat. */
function flatTensors(caller: string, result: unknown): Tensors {
  if (isTensor(result)) return checkedAlive(caller, { [OUTPUT]: result });
  refusePromise(caller, result);
  if (Array.isArray(result))
    throw new DmaeError(
      "argument",
      `${caller}: the function must return a tensor or a record of tensors, got an array; ` +
        "give its tensors names: {first, second}",
    );
  const leaf = { is: isTensor, expected: "a tensor or a record of tensors" };
  const record = checkedRecord(caller, "what the function returns", result, leaf.expected);
  return checkedAlive(caller, flatten(caller, record, leaf));
}

function checkedAlive(caller: string, tensors: Tensors): Tensors {
  const dead = Object.keys(tensors).find((name) => tensors[name]!.isDisposed);
  if (dead === undefined) return tensors;
  throw new DmaeError(
    "argument",
    `${caller}: ${dead} was disposed of before the function returned it; dispose of nothing: what is traced holds no memory`,
  );
}

/** A nested function with constants as a flat one. */
export function flatFunction<Specs extends InputSpecs>(
  caller: string,
  fn: (inputs: InFormOf<Specs, Tensor> & Record<string, Tensor>) => unknown,
  specs: Specs,
  constants: HostTensors,
  see: (result: NestedTensors | Tensor) => void = () => {},
): (inputs: Record<string, Tensor>) => Record<string, Tensor> {
  if (typeof fn !== "function")
    throw new DmaeError("argument", `${caller}: fn must be a function, got ${describeValue(fn)}`);
  return (inputs) => {
    const nested = unflatten(inputs, specs, isSpec) as InFormOf<Specs, Tensor>;
    const fixed = Object.fromEntries(Object.keys(constants).map((name) => [name, inputs[name]!]));
    const result = fn({ ...fixed, ...nested });
    const flat = flatTensors(caller, result);
    see(result as NestedTensors | Tensor);
    return flat;
  };
}
