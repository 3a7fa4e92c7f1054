import type { HostTensor, HostTensors } from "@dmae/core";
import { Tensor } from "@tensorflow/tfjs-core";
import type { Tensors } from "../params.ts";
import { checkTensors } from "./check-values.ts";
import { flatFunction, OUTPUT } from "./flat-function.ts";
import { hostInputs } from "./host-inputs.ts";
import {
  type InFormOf,
  type InputSpecs,
  isTensor,
  type NestedTensors,
  type ResultForm,
  type TensorSpecs,
  unflatten,
} from "./nested.ts";
import { flatSpecs, namesOf } from "./specs.ts";

/**
 * A function with what it needs to run: the one value that executors, `compile`, `quantize` and `exportOnnx` take.
 *
 * @example
 * const square: Program = { fn: ({ x }) => tf.square(x), specs: { x: [2] } };
 */
export interface Program<Specs extends InputSpecs = InputSpecs, Result = unknown> {
  /** Pure and synchronous; takes inputs and constants by name, returns a tensor or a record of tensors. */
  readonly fn: (inputs: InFormOf<Specs, Tensor> & Record<string, Tensor>) => Result;
  /** Shapes (and dtypes) of the inputs, nested as `fn` wants them: `{ x: [2] }`, `{ x: { shape: [2], dtype: "int32" } }`. */
  readonly specs: Specs;
  /** Parameters: given to `fn` among its inputs, kept by whatever runs it. */
  readonly constants?: HostTensors;
}

/** A program whose inputs and results are laid flat, for those who write an executor. */
export interface FlatProgram {
  readonly fn: (inputs: Tensors) => Tensors;
  readonly specs: TensorSpecs;
  readonly constants: HostTensors;
  /** The inputs of a call as host tensors, compared with the specs. */
  inputs(values: unknown): HostTensors;
  /** Flat results in the form that `fn` returned; known once it has run. */
  result(flat: Readonly<Record<string, HostTensor>>): unknown;
}

/** Checks a program and lays it flat. */
export function flatProgram<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  caller: string,
  { fn, specs, constants = {} }: Program<Specs, Result>,
): FlatProgram {
  const flat = flatSpecs(caller, specs);
  checkTensors(caller, "constants", constants, namesOf(specs, flat));
  let form: InputSpecs | null = null;
  return {
    fn: flatFunction(caller, fn, specs, constants, (result) => {
      form = result instanceof Tensor ? null : shapesOf(result);
    }),
    specs: flat,
    constants,
    inputs: (values) => hostInputs("call", values, flat),
    result: (results) =>
      form ? unflatten(results, form, (value) => Array.isArray(value)) : results[OUTPUT],
  };
}

/** Shapes in place of tensors. */
const shapesOf = (tensors: NestedTensors): InputSpecs =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [
      name,
      isTensor(value) ? value.shape : shapesOf(value),
    ]),
  );
