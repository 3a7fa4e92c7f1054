/** Element types of values in a graph, with ONNX's numbers for them, and the arrays of constants; 16-bit floats as their bits. */
const types = {
  float32: { number: 1, Values: Float32Array },
  uint8: { number: 2, Values: Uint8Array },
  int8: { number: 3, Values: Int8Array },
  int32: { number: 6, Values: Int32Array },
  int64: { number: 7, Values: BigInt64Array },
  bool: { number: 9, Values: Uint8Array },
  float16: { number: 10, Values: Uint16Array },
  bfloat16: { number: 16, Values: Uint16Array },
};

/** Element types of values in a graph; the wider set than TensorFlow.js has serves shapes and int8. */
export type ElementType = keyof typeof types;

/** Typed arrays that carry the values of constants. */
export type ConstantData =
  | Float32Array
  | Int32Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | BigInt64Array;

/** Shape and element type of a node's output. */
export interface OutputSpec {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

/** What an operator's rule reads of an input. */
export interface Operand extends OutputSpec {
  /** Values of a constant; one element stands for all when `splat`. */
  readonly constant: ConstantData | null;
  readonly splat: boolean;
}

/** The number that ONNX gives an element type. */
export const onnxType = (dtype: ElementType): number => types[dtype].number;

/** The element type of ONNX's number. */
export const elementTypeOf = (number: number): ElementType =>
  (Object.keys(types) as ElementType[]).find((dtype) => types[dtype].number === number)!;

/** A new typed array for `dtype`. */
export const allocate = (dtype: ElementType, size: number): ConstantData =>
  new types[dtype].Values(size);

/** Number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** True where two shapes are the same. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);
