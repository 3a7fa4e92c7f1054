import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { TensorSpec, TensorSpecs, Tensors } from "@dmae/nn";
import { Tensor } from "@tensorflow/tfjs-core";
import { checkInputs } from "./check-values.ts";
import { describeValue, isPromise, isRecord } from "./describe-value.ts";

/** Records of `T`, nested to any depth. */
export interface NestedRecord<T> {
  readonly [name: string]: T | NestedRecord<T>;
}

/** Input specs, nested. */
export type NestedSpecs = NestedRecord<TensorSpec>;

/** Host tensors, nested. */
export type NestedHostTensors = NestedRecord<HostTensor>;

/** Tensors, nested. */
export interface NestedTensors {
  [name: string]: Tensor | NestedTensors;
}

/**
 * What a function may return: a tensor, or records of tensors. As a constraint of its own argument it lets interfaces
 * pass, which have no index signature.
 */
export type ResultForm<Result> =
  | Tensor
  | ({ [Name in keyof Result]: ResultForm<Result[Name]> } & {
      /** No array. */
      readonly [Symbol.iterator]?: never;
      /** No function. */
      readonly [Symbol.hasInstance]?: never;
    } & object);

/** A record of the form of `Specs` with `Leaf` in place of every spec. */
export type InFormOf<Specs, Leaf> = {
  [Name in keyof Specs]: Specs[Name] extends TensorSpec ? Leaf : InFormOf<Specs[Name], Leaf>;
};

/** Parts of a nested name: `model/blocks.0.attn.qkv.weight`. */
const SEPARATOR = "/";

/** What stands at the ends of a nested record. */
interface Leaf {
  readonly is: (value: unknown, path: string) => boolean;
  /** In words, for errors. */
  readonly expected: string;
}

/** Lays nested records flat: `{a: {b: x}}` becomes `{"a/b": x}`. */
function flatten<T>(caller: string, record: unknown, leaf: Leaf, prefix = ""): Record<string, T> {
  const flat: Record<string, T> = {};
  for (const [name, value] of Object.entries(record as NestedRecord<T>)) {
    const path = prefix + name;
    const parts = leaf.is(value, path)
      ? { [path]: value as T }
      : flatten<T>(
          caller,
          checkedRecord(caller, path, value, leaf.expected),
          leaf,
          path + SEPARATOR,
        );
    for (const [key, part] of Object.entries(parts)) {
      if (Object.hasOwn(flat, key)) throw collision(caller, key);
      flat[key] = part;
    }
  }
  return flat;
}

function checkedRecord(caller: string, path: string, value: unknown, expected: string): unknown {
  if (isRecord(value)) return value;
  throw new DmaeError(
    "argument",
    `${caller}: ${path} must be ${expected}, got ${describeValue(value)}`,
  );
}

const collision = (caller: string, path: string) =>
  new DmaeError(
    "argument",
    `${caller}: ${path} is the name of two tensors, since nested names are joined with ${SEPARATOR}; rename one`,
  );

/** The inverse of laying flat, in the form of `model`. */
export function unflatten<A, B>(
  flat: Readonly<Record<string, B>>,
  model: NestedRecord<A>,
  isLeaf: (value: A | NestedRecord<A>) => value is A,
  prefix = "",
): NestedRecord<B> {
  return Object.fromEntries(
    Object.entries(model).map(([name, value]) => [
      name,
      isLeaf(value)
        ? flat[prefix + name]!
        : unflatten(flat, value, isLeaf, prefix + name + SEPARATOR),
    ]),
  );
}

/** True for a spec or a host tensor. */
export const isSpec = <T extends TensorSpec>(value: T | NestedRecord<T>): value is T =>
  Array.isArray((value as TensorSpec | null)?.shape);

/** True for a tensor. */
export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;

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

/** The name of the output of a function that returns one tensor instead of a record. */
export const OUTPUT = "output";

/** What a function returned, laid flat. */
export function flatTensors(caller: string, result: unknown): Tensors {
  if (isTensor(result)) return checkedAlive(caller, { [OUTPUT]: result });
  if (isPromise(result))
    throw new DmaeError("argument", `${caller}: the function must be synchronous, got a promise`);
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
export function flatFunction<Specs extends NestedSpecs>(
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
