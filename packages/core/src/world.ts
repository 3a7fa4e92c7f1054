/** Values that ranks exchange. */
export type WorldData = Float32Array | Float64Array | Int32Array | Uint8Array;

/** How {@link World.allReduce} joins the values of the ranks. */
export type WorldOperation = "sum" | "max" | "min";

/**
 * The processes that work on one job, seen from one of them. `world()` of `@dmae/distributed` makes one of MPI.
 *
 * Every rank calls the same operations in the same order, with arrays of equal type and length; an operation ends when
 * the others have joined it.
 */
export interface World {
  /** This process, `0 <= rank < size`. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /**
   * Joins `data` over all ranks, element by element, in place.
   *
   * @param operation default "sum"
   * @returns `data`, on every rank with the same bits
   */
  allReduce<T extends WorldData>(data: T, operation?: WorldOperation): Promise<T>;
  /**
   * Overwrites `data` with that of one rank.
   *
   * @param root the rank whose values all get; default 0
   * @returns `data`
   */
  broadcast<T extends WorldData>(data: T, root?: number): Promise<T>;
  /** Ends when every rank has called it. */
  barrier(): Promise<void>;
  /**
   * Ends the job on every rank, after one message that names this rank. In a world of one it throws `reason`.
   *
   * @param reason an `Error`, or what went wrong
   */
  abort(reason: unknown): Promise<never>;
}
