/** When the memory of a prepared program is freed: after `close`, once the calls made before it have ended. */
export interface Lifetime {
  /** Runs a call; rejects with the error of `refuse` after `close`. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** Frees the memory, at once where no call is under way; later ones do nothing. */
  close(): void;
}

/**
 * Keeps what calls use until they have ended.
 *
 * @param free frees it
 * @param refuse throws the error of calls after `close`
 */
export function lifetime(free: () => void, refuse: () => never): Lifetime {
  let calls = 0;
  let isClosed = false;
  return {
    async during(call) {
      if (isClosed) refuse();
      calls++;
      try {
        return await call();
      } finally {
        calls--;
        if (isClosed && calls === 0) free();
      }
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      if (calls === 0) free();
    },
  };
}
