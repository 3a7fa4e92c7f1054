import { DmaeError, type DType, type HostTensor, type HostTensors } from "@dmae/core";
import { checkInputs, dataArrays } from "./check-values.ts";
import { describeValue, isRecord } from "./describe-value.ts";
import { flatten, type TensorSpec, type TensorSpecs } from "./nested.ts";

/**
 * The inputs of one call laid flat as host tensors, compared with the specs: a plain array takes its shape and dtype
 * from its spec.
 *
 * @throws DmaeError "argument" for missing or unknown names and values that are no numbers, "shape" for other shapes,
 *   "numeric" for NaN
 */
export function hostInputs(caller: string, inputs: unknown, specs: TensorSpecs): HostTensors {
  const is = (value: unknown, path: string) =>
    Object.hasOwn(specs, path) || !isRecord(value) || Array.isArray(value.shape);
  const flat = isRecord(inputs) ? flatten<unknown>(caller, inputs, { is, expected: "" }) : inputs;
  if (isRecord(flat))
    for (const [name, value] of Object.entries(flat)) {
      const spec = specs[name];
      if (spec && isPlain(value))
        (flat as Record<string, unknown>)[name] = tensorOf(caller, name, value, spec);
    }
  checkInputs(caller, flat as HostTensors, specs);
  return flat as HostTensors;
}

type Plain = number | readonly unknown[] | ArrayLike<number>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  Array.isArray(value) ||
  (ArrayBuffer.isView(value) && !(value instanceof DataView));

function tensorOf(caller: string, name: string, value: Plain, spec: TensorSpec): HostTensor {
  const { shape, dtype = "float32" } = spec;
  const size = shape.reduce((product, side) => product * side, 1);
  const Data = dataArrays[dtype];
  if (value instanceof Data && value.length === size) return { dtype, shape, data: value };
  const values = Array.isArray(value) ? flattened(caller, name, value, shape) : numbersOf(value);
  if (values.length !== size)
    throw new DmaeError(
      "shape",
      `${caller}: ${name} must be ${dtype} [${shape}], ${size} values, got ${values.length}`,
      { name },
    );
  for (const [element, one] of values.entries()) checkNumber(caller, { name, element, dtype }, one);
  return { dtype, shape, data: Data.from(values as number[]) };
}

const numbersOf = (value: Plain): unknown[] =>
  typeof value === "object" ? Array.from(value as ArrayLike<number>) : [value];

/** Nested arrays must have the shape of the spec; a flat one must have its size. */
function flattened(
  caller: string,
  name: string,
  value: readonly unknown[],
  shape: readonly number[],
): unknown[] {
  if (!value.some((part) => typeof part === "object" && part !== null)) return [...value];
  const walk = (part: unknown, dims: readonly number[]): unknown[] => {
    if (dims.length === 0) return [part];
    const [length, ...rest] = dims;
    const items =
      isPlain(part) && typeof part === "object" ? Array.from(part as ArrayLike<unknown>) : [];
    if (items.length !== length)
      throw new DmaeError(
        "shape",
        `${caller}: ${name} must be nested as its shape [${shape}], got ${items.length} values where ${length} belong`,
        { name },
      );
    return items.flatMap((item) => walk(item, rest));
  };
  return walk(value, shape);
}

function checkNumber(
  caller: string,
  { name, element, dtype }: { name: string; element: number; dtype: DType },
  value: unknown,
): void {
  const isNumber = typeof value === "number" || (dtype === "bool" && typeof value === "boolean");
  const fits =
    dtype === "float32" ||
    (dtype === "int32"
      ? ((value as number) | 0) === value
      : value === Boolean(value) || value === 0 || value === 1);
  if (isNumber && fits) return;
  const rule = { float32: "numbers", int32: "32-bit integers", bool: "0, 1, true or false" }[dtype];
  throw new DmaeError(
    "argument",
    `${caller}: ${name} must hold ${rule}, got ${describeValue(value)} at element ${element}`,
    { name, element },
  );
}
