const last = new WeakMap<object, Promise<unknown>>();

/**
 * Runs `call` once all earlier calls with the same owner have ended, whether they succeeded or failed.
 * A classifier may answer in memory that it uses again, so each answer is read before the next call.
 */
export function inTurn<T>(owner: object, call: () => Promise<T>): Promise<T> {
  const result = (last.get(owner) ?? Promise.resolve()).then(call);
  const ended = result.then(
    () => {},
    () => {},
  );
  last.set(owner, ended);
  return result;
}
