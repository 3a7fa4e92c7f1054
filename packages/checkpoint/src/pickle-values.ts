import { dtypes, type StoredDType } from "./dtypes.ts";
import type { TensorReference } from "./plain-value.ts";

/**
 * What a pickle builds here. Lists and tuples are arrays; a class or function is only a name, and
 * calling an unknown one only notes the arguments.
 *
 * @internal
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickleGlobal
  | PickleInstance
  | PickleStorage
  | PickleTensor;

/** A class or function that the pickle names. @internal */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** An object of a class that is kept as data. @internal */
export class PickleInstance {
  state: PickleValue = null;
  /** What was added to it, as to a subclass of list or set; most have nothing. */
  items: PickleValue[] | undefined;
  /** What was set in it, as in a subclass of dict. */
  entries: Map<PickleValue, PickleValue> | undefined;
  constructor(
    readonly global: PickleGlobal,
    readonly args: PickleValue[],
  ) {}
}

/** A storage: the flat memory that tensors look into. `dtype` is undefined for untyped bytes. @internal */
export class PickleStorage {
  constructor(
    readonly key: string,
    readonly dtype: StoredDType | undefined,
    /** Elements, or bytes where untyped. */
    readonly count: number,
    /** Where it starts in the storage that is in the file: files of the first versions have views of storages. */
    readonly start = 0,
    /** Elements of the storage that is in the file. */
    readonly total = count,
  ) {}

  /** Bytes of the storage that is in the file. */
  get byteLength(): number {
    return this.total * (this.dtype === undefined ? 1 : dtypes[this.dtype].bytes);
  }
}

/** A strided look into a storage. @internal */
export class PickleTensor implements TensorReference {
  readonly kind = "tensor";
  constructor(
    readonly dtype: StoredDType,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    readonly offset: number,
    readonly storage: PickleStorage,
    /** The values are the negatives of what the storage holds (a view that `torch.Tensor.imag` of a conjugate gives). */
    readonly isNegated = false,
  ) {}
}
