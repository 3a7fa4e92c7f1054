/** Writes beside a training, one after the other: one that fails neither stops the training nor keeps the others back. */
export interface WriteQueue {
  /** Adds a write. */
  add(write: () => Promise<unknown>): void;
  /** Waits for all writes; rejects with the first error. */
  end(): Promise<void>;
}

/** @param onError told of the first error when it happens: the end may be days away */
export function writeQueue(onError: (error: unknown) => void): WriteQueue {
  let pending: Promise<unknown> = Promise.resolve();
  let failed: { readonly error: unknown } | undefined;
  const fail = (error: unknown) => {
    if (failed) return;
    failed = { error };
    onError(error);
  };
  return {
    add(write) {
      pending = pending.then(write).catch(fail);
    },
    async end() {
      await pending;
      if (failed) throw failed.error;
    },
  };
}
