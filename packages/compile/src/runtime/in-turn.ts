/** Runs a task when the tasks before it have ended, whether they failed or not. */
export type InTurn = <T>(task: () => Promise<T>) => Promise<T>;

/** A queue of tasks. */
export function takeTurns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}
