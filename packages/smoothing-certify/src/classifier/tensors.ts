import { DmaeError } from "@dmae/core";

/** What this package needs of a TensorFlow.js tensor; `tf.Tensor` has it. */
export interface TensorLike {
  /** Dimensions. */
  readonly shape: readonly number[];
  /** Element type, e.g. `float32`. */
  readonly dtype: string;
  /** The values, read asynchronously. */
  data(): Promise<ArrayLike<number>>;
  /** Frees the tensor. */
  dispose(): void;
}

/** The part of TensorFlow.js's engine that is used here. */
export interface TensorFlow {
  makeTensor(values: Float32Array | Int32Array, shape: number[], dtype: string): TensorLike;
  startScope(name?: string): void;
  endScope(result?: unknown): void;
  readonly state: { readonly activeScope: { readonly track: readonly unknown[] } };
}

/** True for a TensorFlow.js tensor. */
export function isTensor(value: unknown): value is TensorLike {
  if (typeof value !== "object" || value === null) return false;
  const { dataId, shape, data } = value as Record<string, unknown>;
  return typeof dataId === "object" && Array.isArray(shape) && typeof data === "function";
}

/** Whether a tensor was freed: it has no numbers any more. */
export function isDisposed(tensor: TensorLike): boolean {
  return (tensor as { isDisposed?: boolean }).isDisposed === true;
}

/** Whether a tensor's elements are numbers (or booleans). */
export function hasNumbers({ dtype }: TensorLike): boolean {
  return dtype !== "string" && dtype !== "complex64";
}

/**
 * The engine of the TensorFlow.js that the program has loaded. All its copies share one, under this global
 * name; so nothing is imported here, and bundlers need no TensorFlow.js where no tensors are.
 *
 * @throws {DmaeError} "unsupported" if TensorFlow.js is not loaded
 */
export function loadTensorFlow(caller: string): TensorFlow {
  const { _tfengine: engine } = globalThis as { _tfengine?: TensorFlow };
  if (engine) return engine;
  throw new DmaeError(
    "unsupported",
    `${caller}: this classifier takes tensors, but TensorFlow.js is not loaded; import "@tensorflow/tfjs-core" and a backend, or give a classifier of typed arrays`,
  );
}

/**
 * Calls `fn` and frees the tensors it made and did not return. Where it returns a promise nothing is
 * freed, since the rest of its work may still need them.
 */
export function tidied<T>(tf: TensorFlow, fn: () => T): T {
  tf.startScope("classifier");
  let result: T | undefined;
  try {
    result = fn();
    return result;
  } finally {
    const later =
      result instanceof Promise || typeof (result as PromiseLike<T>)?.then === "function";
    tf.endScope(later ? [...tf.state.activeScope.track] : result);
  }
}
