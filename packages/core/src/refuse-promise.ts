import { DmaeError } from "./errors.ts";

/** Throws for a data set that nobody awaited: loaders give promises. */
export function refusePromise(caller: string, dataset: unknown): void {
  if (typeof (dataset as PromiseLike<unknown> | null | undefined)?.then !== "function") return;
  throw new DmaeError(
    "argument",
    `${caller}: the data set is a promise; await it first, e.g. await loadImageFolder("photos")`,
  );
}
