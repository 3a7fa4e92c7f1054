import { DmaeError } from "@dmae/core";
import { readLog } from "./log-file.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { parseShard } from "./shard.ts";

/** Options of {@link mergeLogs}. */
export interface MergeOptions {
  /** Number of rows that there must be; the logs of shards know it by themselves. */
  readonly images?: number | undefined;
  /** Accept shards that are missing or unfinished; default false. */
  readonly partial?: boolean | undefined;
}

/**
 * Puts the logs of shards together, in the order of the images, after checking that they belong
 * together: the same settings, no image twice, no shard missing or unfinished.
 *
 * @param paths logs of all shards
 * @returns rows without the name of their shard; write them with {@link writeLog}
 * @throws {DmaeError} "file" for logs that do not fit together
 * @example
 * await writeLog("all.tsv", await mergeLogs(["0.tsv", "1.tsv", "2.tsv", "3.tsv"]));
 */
export async function mergeLogs(
  paths: readonly (string | URL)[],
  { images, partial = false }: MergeOptions = {},
): Promise<LogRow[]> {
  if (paths.length === 0) throw new DmaeError("argument", "mergeLogs: give at least one log");
  const owner = new Map<number, string>();
  const shards = new Map<string, number>();
  const rows: LogRow[] = [];
  let common: string | undefined;
  for (const path of paths) {
    for (const row of await readLog(path, { partial })) {
      const { shard, ...settings } = row.settings ?? ({} as LogSettings);
      common = checkCommon(String(path), common, settings);
      const before = owner.get(row.idx);
      if (before !== undefined) throw misfit(`image ${row.idx} is in ${before} and in ${path}`);
      owner.set(row.idx, String(path));
      if (shard !== undefined) shards.set(String(shard), (shards.get(String(shard)) ?? 0) + 1);
      rows.push(row.settings ? { ...row, settings: settings as LogSettings } : row);
    }
  }
  if (!partial) checkComplete(shards, rows.length, images);
  return rows.sort((a, b) => a.idx - b.idx);
}

function checkCommon(path: string, common: string | undefined, settings: object): string {
  const text = JSON.stringify(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (common === undefined || text === common) return text;
  const before = new Map<string, unknown>(JSON.parse(common));
  const changed = Object.entries(settings).filter(([name, value]) => before.get(name) !== value);
  const list = changed
    .map(([name, value]) => `${name} ${before.get(name)} and ${value}`)
    .join(", ");
  throw misfit(`${path} has other settings than the logs before it: ${list || "fewer of them"}`);
}

function checkComplete(shards: Map<string, number>, rows: number, images?: number): void {
  if (images !== undefined && rows !== images)
    throw misfit(`${images} images expected, ${rows} found`);
  if (shards.size === 0) return;
  const [, total = ""] = shards.keys().next().value!.split(" of ");
  const { count } = parseShard(shards.keys().next().value!.split(" of ")[0]!);
  for (let index = 0; index < count; index++) {
    const found = shards.get(`${index}/${count} of ${total}`) ?? 0;
    const expected = Math.ceil((Number(total) - index) / count);
    if (found !== expected)
      throw misfit(
        `shard ${index}/${count} has ${found} of ${expected} images; finish it, or merge with partial: true`,
      );
  }
}

function misfit(problem: string): DmaeError {
  return new DmaeError("file", `mergeLogs: ${problem}`);
}
