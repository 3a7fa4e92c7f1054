import { DmaeError } from "@dmae/core";
import { type FileLock, writeAtomically } from "@dmae/core/files";
import { logText, readLog } from "./log-file.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { hasRows, lockLog } from "./log-writer.ts";
import { mergeLogs } from "./merge.ts";
import { checkSame } from "./same-settings.ts";
import type { Shard } from "./shard.ts";

/** The log of one rank, beside the log of all. */
export const rankLog = (log: string, { index, count }: Shard): string =>
  `${log}.${index}-of-${count}`;

/** The run for which the rows of an earlier session are dealt. */
export interface Dealing {
  /** Number of ranks. */
  readonly count: number;
  /** The selected images: the ranks take turns. */
  readonly images: readonly number[];
  /** What the run's rows depend on, but for the shard. */
  readonly settings: () => Promise<LogSettings>;
  /** What a row says of its shard. */
  readonly settingsOf: (shard: Shard) => object;
}

/**
 * Deals the rows of an earlier session, which may have had another number of ranks, to the logs of `count` ranks. May be
 * interrupted: no row is removed before it is written elsewhere.
 *
 * @param log whose lock is held; those of the ranks are taken here
 * @throws {DmaeError} "resume", before anything is changed, where a row that is there depends on something else or is of
 *   an image that is not selected, or another process writes to its log
 */
export async function dealRows(log: string, run: Dealing): Promise<void> {
  const found = await logsOf(log);
  const own = ownLogs(log, run.count);
  if (found.every((file) => own.includes(file))) return; // each rank checks its own
  const locks: FileLock[] = [];
  try {
    for (const file of found) if (file !== log) locks.push(await lockLog(file));
    await moveRows(log, found, run);
  } finally {
    for (const lock of locks) await lock.release();
  }
}

async function moveRows(log: string, files: readonly string[], run: Dealing): Promise<void> {
  const { rm } = await import("node:fs/promises");
  const { count } = run;
  for (const [index, rows] of (await dealt(files, run)).entries())
    if (rows.length > 0) await writeRows(rankLog(log, { index, count }), rows);
  const own = ownLogs(log, count);
  for (const file of files) if (!own.includes(file)) await rm(file, { force: true });
}

/** The rows of these logs by rank, each with the settings that it has in the log of its rank. */
async function dealt(files: readonly string[], run: Dealing): Promise<LogRow[][]> {
  const { count, images, settingsOf } = run;
  const settings = await run.settings();
  const places = new Map(images.map((idx, place) => [idx, place % count]));
  const rows = new Map<number, LogRow>();
  for (const file of files)
    for (const row of await rowsOf(file, settings)) {
      if (!places.has(row.idx)) throw notSelected(file, row);
      rows.set(row.idx, row);
    }
  const ranks = Array.from({ length: count }, (_, index) => ({
    settings: { ...settings, ...settingsOf({ index, count }) },
    rows: [] as LogRow[],
  }));
  for (const row of rows.values()) {
    const rank = ranks[places.get(row.idx)!]!;
    rank.rows.push({ ...row, settings: rank.settings });
  }
  return ranks.map((rank) => rank.rows);
}

/** The rows of a log, all of this run. */
async function rowsOf(file: string, settings: LogSettings): Promise<LogRow[]> {
  if (!(await hasRows(file, settings))) return [];
  const rows = await readLog(file, { partial: true });
  for (const row of rows) checkSame(file, withoutShard(row), settings);
  return rows;
}

function withoutShard(row: LogRow): LogRow {
  if (!row.settings) return row;
  const { shard: _, indices: __, ...settings } = row.settings;
  return { ...row, settings: settings as LogSettings };
}

/** One process may leave such rows where they are; ranks give the log the rows of their images and no others. */
const notSelected = (file: string, { idx }: LogRow) =>
  new DmaeError(
    "resume",
    `certifyDataset: a log that ranks share must have rows of the selected images only, got image ${idx} in ${file}; select it too, or write to another log`,
    { file, idx },
  );

/** Puts the logs of all ranks together. */
export async function mergeRankLogs(log: string, count: number, images: number): Promise<void> {
  const { rm } = await import("node:fs/promises");
  const ranks = Math.min(count, images); // a rank without images has no rows
  const files = ownLogs(log, count).slice(0, ranks);
  await writeRows(log, await mergeLogs(files, { images }));
  for (const file of ownLogs(log, count)) await rm(file, { force: true });
}

/** The logs of all ranks of a run. */
const ownLogs = (log: string, count: number) =>
  Array.from({ length: count }, (_, index) => rankLog(log, { index, count }));

/** The log and those of ranks that are there. */
export async function logsOf(log: string): Promise<string[]> {
  const { readdir } = await import("node:fs/promises");
  const { basename, dirname } = await import("node:path");
  const name = basename(log);
  const isRank = (file: string) =>
    file.startsWith(`${name}.`) && /^\d+-of-\d+$/.test(file.slice(name.length + 1));
  const files = await readdir(dirname(log)).catch(() => []);
  return files
    .filter((file) => file === name || isRank(file))
    .sort()
    .map((file) => (file === name ? log : log + file.slice(name.length)));
}

async function writeRows(file: string, rows: readonly LogRow[]): Promise<void> {
  let text = "";
  for await (const piece of logText(rows)) text += piece;
  await writeAtomically("certifyDataset", file, text);
}
