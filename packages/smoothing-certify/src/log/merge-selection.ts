import { DmaeError } from "@dmae/core";
import { parseShard } from "./shard.ts";

/** The rows of a shard, which say what it is, e.g. `0/8 of 10000`. */
export interface ShardRows {
  /** The log of the first of them. */
  readonly path: string;
  readonly shard: string;
  readonly images: number[];
}

/** What the shards are parts of, and how many rows each has. */
export interface Selection {
  readonly count: number;
  readonly total: number;
  readonly found: ReadonlyMap<number, number>;
}

/**
 * Checks that all shards are of one selection of images: of as many shards and images, and, where it
 * was made with `skip` and `max`, of images whose place in it is the shard's.
 *
 * @param listed whether the images were listed; their name is among the settings then
 */
export function checkSelection(
  shards: readonly ShardRows[],
  listed: boolean,
): Selection | undefined {
  if (shards.length === 0) return undefined;
  const placed = shards.map((rows) => ({ ...rows, ...parsePlace(rows) }));
  const { count, total, path, shard } = placed[0]!;
  const other = placed.find((rows) => rows.count !== count || rows.total !== total);
  if (other)
    throw mergeError(
      `the logs are of shards of different selections: ${path} is shard ${shard}, ${other.path} is shard ${other.shard}`,
    );
  if (!listed) checkSkip(placed);
  const found = new Map<number, number>();
  for (const { index, images } of placed) found.set(index, (found.get(index) ?? 0) + images.length);
  return { count, total, found };
}

type PlacedRows = ShardRows & ReturnType<typeof parsePlace>;

function parsePlace({ path, shard }: ShardRows) {
  const [place = "", total = ""] = shard.split(" of ");
  if (!/^[1-9]\d*$/.test(total))
    throw mergeError(`${path}: shard must read like 0/8 of 10000, got ${JSON.stringify(shard)}`);
  return { ...parseShard(place), total: Number(total) };
}

/** Checks that some `skip` puts every image where it is: images 0, skip, 2 skip … take turns over the shards. */
function checkSkip(shards: readonly PlacedRows[]): void {
  const common = shards.reduce((a, { images }) => images.reduce(greatestDivisor, a), 0);
  if (common === 0) return; // image 0 alone
  const misplaced = (skip: number) => {
    for (const { images, index, count, total, shard, path } of shards) {
      const idx = images.find((image) => image / skip >= total || (image / skip) % count !== index);
      if (idx !== undefined) return { idx, shard, path };
    }
    return undefined;
  };
  for (let skip = 1; skip * skip <= common; skip++)
    if (common % skip === 0 && !(misplaced(skip) && misplaced(common / skip))) return;
  const { idx, path, shard } = misplaced(common)!;
  throw mergeError(
    `the logs are of shards of different selections: no one skip gives their images, e.g. image ${idx} to shard ${shard} in ${path}; certify all shards with the same skip and max`,
  );
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Checks that no row is missing. */
export function checkComplete(
  selection: Selection | undefined,
  rows: number,
  images: number | undefined,
  empty: readonly string[],
): void {
  if (images !== undefined && rows !== images)
    throw mergeError(`${images} images expected, ${rows} found`);
  if (!selection) {
    if (empty.length === 0 || images !== undefined) return;
    throw mergeError(`${empty[0]} has no rows; finish it, or merge with partial: true`);
  }
  const { count, total, found } = selection;
  for (let index = 0; index < Math.min(count, total); index++) {
    const expected = Math.ceil((total - index) / count);
    const there = found.get(index) ?? 0;
    if (there !== expected)
      throw mergeError(
        `shard ${index}/${count} has ${there} of ${expected} images; finish it, or merge with partial: true`,
      );
  }
}

/** The error for logs that do not fit together. */
export function mergeError(problem: string): DmaeError {
  return new DmaeError("file", `mergeLogs: ${problem}`);
}
