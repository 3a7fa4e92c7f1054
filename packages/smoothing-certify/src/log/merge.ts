import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { rowBatches } from "./log-file.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { checkComplete, checkSelection, mergeError, type ShardRows } from "./merge-selection.ts";
import { RowCursor } from "./row-cursor.ts";

/** Options of {@link mergeLogs}. */
export interface MergeOptions {
  /** Number of rows that there must be; the logs of shards know it by themselves. */
  readonly images?: number | undefined;
  /** Accept shards that are missing or unfinished; default false. */
  readonly partial?: boolean | undefined;
}

/**
 * Puts the logs of shards together, in the order of the images, after checking that they belong
 * together: the same settings (each may have its own seed), no image twice, no shard missing or unfinished.
 *
 * @param paths logs of all shards
 * @returns rows without the name of their shard; write them with `writeLog`
 * @throws {DmaeError} "file" for logs that do not fit together
 * @example
 * await writeLog("all.tsv", await mergeLogs(["0.tsv", "1.tsv", "2.tsv", "3.tsv"]));
 */
export async function mergeLogs(
  paths: readonly (string | URL)[],
  options: MergeOptions = {},
): Promise<LogRow[]> {
  checkOptions("mergeLogs", options, mergeNames);
  const rows: LogRow[] = [];
  for await (const row of mergeLogRows(paths, options)) rows.push(row);
  return rows;
}

const mergeNames = { images: true, partial: true } satisfies OptionNames<MergeOptions>;

/**
 * Puts the logs of shards together row by row, so that memory does not grow with the votes; otherwise like
 * {@link mergeLogs}. Every log is read twice: first to check it, then to take its rows. Only a log whose images
 * are not in ascending order is held in memory.
 *
 * @param paths logs of all shards
 * @throws {DmaeError} "file" for logs that do not fit together, before the first row
 * @example
 * await writeLog("all.tsv", mergeLogRows(["0.tsv", "1.tsv", "2.tsv", "3.tsv"]));
 */
export async function* mergeLogRows(
  paths: readonly (string | URL)[],
  options: MergeOptions = {},
): AsyncGenerator<LogRow, void, void> {
  checkOptions("mergeLogRows", options, mergeNames);
  const { images, partial = false } = options;
  if (paths.length === 0) throw new DmaeError("argument", "mergeLogs: give at least one log");
  const contents = await checkLogs(paths, images, partial);
  const cursors = contents.map(
    ({ rows, ascending }, i) =>
      new RowCursor(String(paths[i]), rowBatches(paths[i]!, partial), rows, ascending),
  );
  const withoutShard = shardRemover();
  try {
    for (const cursor of cursors) await cursor.advance();
    for (let next = least(cursors); next?.row; next = least(cursors)) {
      yield withoutShard(next.row);
      await next.advance();
    }
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
}

/** The cursor at the row whose image comes first. */
function least(cursors: readonly RowCursor[]): RowCursor | undefined {
  let found: RowCursor | undefined;
  for (const cursor of cursors)
    if (cursor.row && !(found?.row && found.row.idx < cursor.row.idx)) found = cursor;
  return found;
}

/** Leaves the shard out of rows; those that shared their settings still do. */
function shardRemover(): (row: LogRow) => LogRow {
  const known = new WeakMap<LogSettings, LogSettings>();
  return (row) => {
    if (!row.settings) return row;
    let settings = known.get(row.settings);
    if (!settings) {
      const { shard: _, indices: __, ...others } = row.settings;
      settings = others as LogSettings;
      known.set(row.settings, settings);
    }
    return { ...row, settings };
  };
}

/** What was found in a log. */
interface LogContent {
  readonly rows: number;
  readonly ascending: boolean;
}

/** Checks that logs fit together. */
async function checkLogs(
  paths: readonly (string | URL)[],
  images: number | undefined,
  partial: boolean,
): Promise<LogContent[]> {
  const owners = new Map<number, number>();
  const shards = new Map<string, ShardRows>();
  const common = new CommonSettings();
  const contents: LogContent[] = [];
  for (const [owner, path] of paths.map(String).entries()) {
    let [rows, last, ascending] = [0, -1, true];
    for await (const batch of rowBatches(path, partial))
      for (const { idx, settings } of batch) {
        common.check(path, settings);
        const before = owners.get(idx);
        if (before !== undefined)
          throw mergeError(`image ${idx} is in ${paths[before]} and in ${path}`);
        owners.set(idx, owner);
        if (settings?.shard !== undefined) addToShard(shards, path, `${settings.shard}`, idx);
        ascending &&= idx > last;
        last = idx;
        rows++;
      }
    contents.push({ rows, ascending });
  }
  const selection = checkSelection([...shards.values()], common.listed);
  const empty = paths.filter((_, i) => contents[i]!.rows === 0).map(String);
  if (!partial) checkComplete(selection, owners.size, images, empty);
  return contents;
}

function addToShard(
  shards: Map<string, ShardRows>,
  path: string,
  shard: string,
  idx: number,
): void {
  const found = shards.get(shard);
  if (found) found.images.push(idx);
  else shards.set(shard, { path, shard, images: [idx] });
}

/** Checks that all rows have the same settings, but for shard and seed. */
class CommonSettings {
  /** Whether the images were listed. */
  listed = false;
  private common: string | undefined;
  private last: LogSettings | undefined;

  check(path: string, settings: LogSettings | undefined): void {
    if (this.common !== undefined && settings === this.last) return; // most rows share one object
    const { shard: _, seed: __, ...shared } = settings ?? ({} as LogSettings); // each shard may have drawn its own seed
    this.common = checkCommon(path, this.common, shared);
    this.listed ||= shared.indices !== undefined;
    this.last = settings;
  }
}

function checkCommon(path: string, common: string | undefined, settings: object): string {
  const text = JSON.stringify(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (common === undefined || text === common) return text;
  const before = new Map<string, unknown>(JSON.parse(common));
  const now = new Map<string, unknown>(Object.entries(settings));
  const changed = [...new Set([...now.keys(), ...before.keys()])]
    .filter((name) => before.get(name) !== now.get(name))
    .map((name) => `${name} ${before.get(name)} and ${now.get(name)}`);
  throw mergeError(`${path} has other settings than the logs before it: ${changed.join(", ")}`);
}
