/** What a training step on several ranks is made of. */
export interface Costs {
  /** Seconds of gradients and update of one rank's micro-batches, nothing exchanged. */
  readonly compute: number;
  /** Bytes of the gradients. */
  readonly bytes: number;
}

/** A link between ranks. */
export interface Link {
  /** Bytes per second that a rank sends and receives at once. */
  readonly bandwidth: number;
  /** Seconds until a message arrives. */
  readonly latency: number;
}

/** Bytes that ranks of several machines sum at once. */
const BUCKET = 2 ** 25;

/**
 * Seconds of an all-reduce over a ring (Patarasuk and Yuan, 2009): `2 (N - 1) / N` of the bytes pass each link, in
 * `2 (N - 1)` messages for each bucket.
 */
export const ringSeconds = (bytes: number, ranks: number, { bandwidth, latency }: Link): number =>
  2 * (ranks - 1) * (bytes / ranks / bandwidth + Math.ceil(bytes / BUCKET) * latency);

/** Share of the time in which ranks compute, where `accumulate` micro-batches make an update. */
export function efficiency(
  { compute, bytes }: Costs,
  ranks: number,
  link: Link,
  accumulate = 1,
): number {
  const work = accumulate * compute;
  return work / (work + ringSeconds(bytes, ranks, link));
}
