import type { PickleStorage, PickleValue } from "./pickle-values.ts";

/** Caps on what is read of a PyTorch file before any tensor. @internal */
export interface PytorchLimits {
  /** Largest pickle or directory, in bytes. */
  readonly maxHeader: number;
  /** Steps that a pickle may take; each makes one small value at most. */
  readonly maxSteps: number;
  /** Further classes to keep as plain data, `module.name`. */
  readonly allowGlobals: readonly string[];
}

/** The bytes of one storage in a file. @internal */
export interface StorageBytes {
  readonly size: number;
  /** Bytes `from … to - 1` in memory that belongs to the caller. */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** What both of PyTorch's formats hold: one pickle, and the storages that it names. @internal */
export interface PytorchContainer {
  readonly root: PickleValue;
  /** The bytes of a storage; undefined where the file lacks it. */
  storage(storage: PickleStorage): StorageBytes | undefined;
}
