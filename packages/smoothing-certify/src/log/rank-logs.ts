import { writeAtomically } from "@dmae/core/files";
import { logText, readLog } from "./log-file.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { mergeLogs } from "./merge.ts";
import type { Shard } from "./shard.ts";

/** The log of one rank, beside the log of all. */
export const rankLog = (log: string, { index, count }: Shard): string =>
  `${log}.${index}-of-${count}`;

/**
 * Deals the rows of an earlier session, which may have had another number of ranks, to the logs of `count` ranks. May be
 * interrupted: no row is removed before it is written elsewhere.
 *
 * @param settingsOf the settings that a row of an image has in the log of its rank; undefined for an image that is not
 *   selected
 */
export async function dealRows(
  log: string,
  count: number,
  settingsOf: (idx: number) => { readonly index: number; readonly more: object } | undefined,
): Promise<void> {
  const { rm } = await import("node:fs/promises");
  const found = await logsOf(log);
  const own = new Set(Array.from({ length: count }, (_, index) => rankLog(log, { index, count })));
  if (found.every((file) => own.has(file))) return;
  const rows = new Map<number, LogRow>();
  for (const file of found)
    for (const row of await readLog(file, { partial: true })) rows.set(row.idx, row);
  const dealt = Array.from({ length: count }, (): LogRow[] => []);
  for (const row of rows.values()) {
    const place = settingsOf(row.idx);
    const { shard: _, indices: __, ...settings } = row.settings ?? ({} as LogSettings);
    if (place)
      dealt[place.index]!.push({ ...row, settings: { ...settings, ...place.more } as LogSettings });
  }
  for (const [index, own] of dealt.entries())
    if (own.length > 0) await writeRows(rankLog(log, { index, count }), own);
  for (const file of found) if (!own.has(file)) await rm(file, { force: true });
}

/** Puts the logs of all ranks together. */
export async function mergeRankLogs(log: string, count: number, images: number): Promise<void> {
  const { rm } = await import("node:fs/promises");
  const ranks = Math.min(count, images); // a rank without images has no rows
  const files = Array.from({ length: ranks }, (_, index) => rankLog(log, { index, count }));
  await writeRows(log, await mergeLogs(files, { images }));
  for (const file of await logsOf(log)) if (file !== log) await rm(file, { force: true });
}

/** The log and those of ranks that are there. */
async function logsOf(log: string): Promise<string[]> {
  const { readdir } = await import("node:fs/promises");
  const { basename, dirname } = await import("node:path");
  const name = basename(log);
  const isRank = (file: string) =>
    file.startsWith(`${name}.`) && /^\d+-of-\d+$/.test(file.slice(name.length + 1));
  const files = await readdir(dirname(log)).catch(() => []);
  return files
    .filter((file) => file === name || isRank(file))
    .map((file) => (file === name ? log : log + file.slice(name.length)));
}

async function writeRows(file: string, rows: readonly LogRow[]): Promise<void> {
  let text = "";
  for await (const piece of logText(rows)) text += piece;
  await writeAtomically("certifyDataset", file, text);
}
