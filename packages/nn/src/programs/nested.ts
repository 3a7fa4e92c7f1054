import { DmaeError, type DType, type HostTensor } from "@dmae/core";
import { Tensor } from "@tensorflow/tfjs-core";
import { describeValue, isRecord } from "./describe-value.ts";

/** Records of `T`, nested to any depth. */
export interface NestedRecord<T> {
  readonly [name: string]: T | NestedRecord<T>;
}

/** Shape and element type of one input. */
export interface TensorSpec {
  /** Dimensions, all known. */
  readonly shape: readonly number[];
  /** Element type; float32 where left out. */
  readonly dtype?: DType;
}

/** Named input specs. */
export type TensorSpecs = Readonly<Record<string, TensorSpec>>;

/** A spec, or the shape alone of a float32 tensor. */
export type SpecOrShape = TensorSpec | readonly number[];

/** Input specs: a record of shapes or specs, nested as the function wants its inputs. */
export type InputSpecs = NestedRecord<SpecOrShape>;

/**
 * The value of one input: numbers in row-major order, flat or nested (the spec knows the shape and dtype), or a host
 * tensor.
 */
export type InputValue = HostTensor | number | ArrayLike<number> | NestedNumbers;

/** Arrays of numbers, nested to any depth. */
export type NestedNumbers = readonly (number | NestedNumbers)[];

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
  [Name in keyof Specs]: Specs[Name] extends SpecOrShape ? Leaf : InFormOf<Specs[Name], Leaf>;
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
export function flatten<T>(
  caller: string,
  record: unknown,
  leaf: Leaf,
  prefix = "",
): Record<string, T> {
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

/** `value`, if it is a record. */
export function checkedRecord(
  caller: string,
  path: string,
  value: unknown,
  expected: string,
): unknown {
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

/** The form of a function's result with a `HostTensor` in place of every tensor. */
export type HostResult<Result> = Result extends Tensor
  ? HostTensor
  : { [Name in keyof Result]: HostResult<Result[Name]> };

/** True for a shape, a spec or a host tensor. */
export const isSpec = (value: unknown): value is SpecOrShape =>
  Array.isArray(value) || Array.isArray((value as TensorSpec | null)?.shape);

/** True for a tensor. */
export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
