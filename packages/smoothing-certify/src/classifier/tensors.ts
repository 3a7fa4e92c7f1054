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

/** The part of `@tensorflow/tfjs-core` that is used here. */
export interface TensorFlow {
  tensor(values: Float32Array, shape: number[], dtype: "float32"): TensorLike;
  memory(): { numTensors: number };
  engine(): TensorScopes;
}

interface TensorScopes {
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

let loaded: Promise<TensorFlow> | undefined;

/** Loads TensorFlow.js on first use; it is needed only where tensors are. */
export function loadTensorFlow(): Promise<TensorFlow> {
  loaded ??= import("@tensorflow/tfjs-core").then(
    (tf) => tf as unknown as TensorFlow,
    (cause) => {
      loaded = undefined;
      throw new DmaeError(
        "unsupported",
        "certify: this classifier takes tensors, but @tensorflow/tfjs-core is not installed; install it, or give a classifier of typed arrays",
        {},
        { cause },
      );
    },
  );
  return loaded;
}

/**
 * Calls `fn` and frees the tensors it made and did not return. Where it returns a promise nothing is
 * freed, since the rest of its work may still need them.
 */
export function tidied<T>(tf: TensorFlow, fn: () => T): T {
  const scopes = tf.engine();
  scopes.startScope("classifier");
  let result: T | undefined;
  try {
    result = fn();
    return result;
  } finally {
    const later =
      result instanceof Promise || typeof (result as PromiseLike<T>)?.then === "function";
    scopes.endScope(later ? [...scopes.state.activeScope.track] : result);
  }
}
