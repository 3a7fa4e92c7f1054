import { DmaeError, type World } from "@dmae/core";
import type { FileLock } from "@dmae/core/files";
import { gatherTexts } from "@dmae/core/ranks";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { lockLog } from "../log/log-writer.ts";
import { dealRows, logsOf, mergeRankLogs, rankLog } from "../log/rank-logs.ts";
import type { Shard } from "../log/shard.ts";
import { formatSeed, freshSeed, parseSeed, type Seed } from "../noise/fresh-seed.ts";

/** What ranks share of a run. */
export interface RankRun {
  readonly caller: string;
  readonly world: World;
  readonly log: string | undefined;
  /** The caller's seed, if it gave one or noise of its own. */
  readonly seed: Seed | undefined;
  readonly hasSeed: boolean;
  /** All selected images. */
  readonly images: readonly number[];
  /** What the rows depend on, given the seed. */
  readonly settings: (seed: Seed | undefined) => Promise<LogSettings>;
  /** Settings that a row of a shard has besides those of the run. */
  readonly settingsOf: (shard: Shard) => object;
  /** The seed of a log that is there. */
  readonly seedOf: (log: string) => Promise<Seed | undefined>;
  /** Certifies a shard. */
  readonly run: (own: {
    readonly shard: Shard;
    readonly log: string | undefined;
    readonly seed: Seed | undefined;
  }) => AsyncGenerator<LogRow, void, void>;
}

/** Certifies one shard on each rank, with one seed; rank 0 then puts the logs together. An error ends the job. */
export async function* runOnRanks(what: RankRun): AsyncGenerator<LogRow, void, void> {
  const { world, log } = what;
  const { rank, size } = world;
  let lock: FileLock | undefined; // of the log of all: rank 0 keeps other writers away until the end
  let isDone = false;
  let hasFailed = false;
  try {
    if (rank === 0 && log !== undefined) lock = await lockLog(log);
    const seed = await begin(what);
    const shard = { index: rank, count: size };
    yield* what.run({ shard, log: log && rankLog(log, shard), seed });
    isDone = true;
  } catch (error) {
    hasFailed = true;
    await lock?.release(); // here: abort ends the process
    await world.abort(error);
  } finally {
    // also where the caller takes no more rows: the other ranks need not wait for the rest
    if (!hasFailed) await end(what, isDone, lock);
  }
}

/** Settles on a seed, and deals the rows that are there. */
async function begin(what: RankRun): Promise<Seed | undefined> {
  const { world, hasSeed } = what;
  const own = world.rank === 0 ? await beginFirst(what) : undefined;
  const [text] = await gatherTexts(world, own === undefined ? "" : formatSeed(own));
  return hasSeed ? what.seed : parseSeed(text!);
}

/** What rank 0 does for all. */
async function beginFirst({ world, log, hasSeed, ...what }: RankRun): Promise<Seed | undefined> {
  const known = log === undefined ? undefined : await firstSeed(log, what.seedOf);
  const seed = hasSeed ? what.seed : (known ?? freshSeed());
  if (log !== undefined)
    await dealRows(log, { ...what, count: world.size, settings: () => what.settings(seed) });
  return seed;
}

async function firstSeed(log: string, seedOf: RankRun["seedOf"]): Promise<Seed | undefined> {
  for (const file of await logsOf(log)) {
    const seed = await seedOf(file);
    if (seed !== undefined) return seed;
  }
  return undefined;
}

async function end(what: RankRun, isDone: boolean, lock: FileLock | undefined): Promise<void> {
  const { world, log, images } = what;
  const states = await gatherTexts(world, isDone ? "1" : "0");
  const isComplete = log !== undefined && !states.includes("0");
  if (isComplete && world.rank === 0)
    try {
      await lock?.check();
      await mergeRankLogs(log, world.size, images.length);
    } catch (error) {
      await lock?.release();
      await world.abort(error);
    }
  await lock?.release();
  if (isComplete) await world.barrier(); // the log is there when a rank goes on
}

/** Throws where the ranks share the images, and somebody else does too. */
export function refuseShard(caller: string, shard: Shard | undefined): void {
  if (shard === undefined) return;
  throw new DmaeError(
    "argument",
    `${caller}: shard must be left out with a world, whose ranks share the images, got ${shard.index}/${shard.count}`,
  );
}
