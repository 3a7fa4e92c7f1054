import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { TensorSpec, TensorSpecs, Tensors } from "@dmae/nn";
import { Tensor } from "@tensorflow/tfjs-core";

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

/** A record of the form of `Specs` with `Leaf` in place of every spec. */
export type InFormOf<Specs, Leaf> = {
  [Name in keyof Specs]: Specs[Name] extends TensorSpec ? Leaf : InFormOf<Specs[Name], Leaf>;
};

/** Parts of a nested name: `model/blocks.0.attn.qkv.weight`. */
const SEPARATOR = "/";

/** Lays nested records flat: `{a: {b: x}}` becomes `{"a/b": x}`. */
export function flatten<T>(
  record: NestedRecord<T>,
  isLeaf: (value: T | NestedRecord<T>) => value is T,
  prefix = "",
): Record<string, T> {
  const flat: Record<string, T> = {};
  for (const [name, value] of Object.entries(record)) {
    if (isLeaf(value)) flat[prefix + name] = value;
    else if (typeof value === "object" && value !== null)
      Object.assign(flat, flatten(value, isLeaf, prefix + name + SEPARATOR));
    else
      throw new DmaeError(
        "argument",
        `compile: ${prefix}${name} must be a tensor or a record of tensors, got ${value}`,
      );
  }
  return flat;
}

/** The inverse of {@link flatten}, in the form of `model`. */
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
export const isTensor = (value: Tensor | NestedTensors): value is Tensor => value instanceof Tensor;

/** Specs laid flat. */
export const flatSpecs = (specs: NestedSpecs): TensorSpecs => flatten<TensorSpec>(specs, isSpec);

/** The name of the output of a function that returns one tensor instead of a record. */
export const OUTPUT = "output";

/** What a function returned, laid flat. */
export function flatTensors(caller: string, tensors: NestedTensors | Tensor): Tensors {
  if (tensors instanceof Tensor) return { [OUTPUT]: tensors };
  if (typeof (tensors as { then?: unknown } | undefined)?.then === "function")
    throw new DmaeError("argument", `${caller}: the function must be synchronous, got a promise`);
  if (typeof tensors !== "object" || tensors === null)
    throw new DmaeError(
      "argument",
      `${caller}: the function must return a tensor or a record of tensors`,
    );
  return flatten<Tensor>(tensors as NestedRecord<Tensor>, isTensor as never);
}

/** A nested function with constants as a flat one. */
export function flatFunction<Specs extends NestedSpecs>(
  caller: string,
  fn: (inputs: InFormOf<Specs, Tensor> & Record<string, Tensor>) => NestedTensors | Tensor,
  specs: Specs,
  constants: HostTensors,
  see: (result: NestedTensors | Tensor) => void = () => {},
): (inputs: Record<string, Tensor>) => Record<string, Tensor> {
  return (inputs) => {
    const nested = unflatten(inputs, specs, isSpec) as InFormOf<Specs, Tensor>;
    const fixed = Object.fromEntries(Object.keys(constants).map((name) => [name, inputs[name]!]));
    const result = fn({ ...fixed, ...nested });
    see(result);
    return flatTensors(caller, result);
  };
}
