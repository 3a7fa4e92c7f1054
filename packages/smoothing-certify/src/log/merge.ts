import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
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
 * together: the same settings (each may have its own seed), no image twice, no shard missing or unfinished.
 *
 * @param paths logs of all shards
 * @returns rows without the name of their shard; write them with {@link writeLog}
 * @throws {DmaeError} "file" for logs that do not fit together
 * @example
 * await writeLog("all.tsv", await mergeLogs(["0.tsv", "1.tsv", "2.tsv", "3.tsv"]));
 */
export async function mergeLogs(
  paths: readonly (string | URL)[],
  options: MergeOptions = {},
): Promise<LogRow[]> {
  checkOptions("mergeLogs", options, { images: true, partial: true });
  const { images, partial = false } = options;
  if (paths.length === 0) throw new DmaeError("argument", "mergeLogs: give at least one log");
  const owner = new Map<number, string>();
  const shards: ShardRow[] = [];
  const empty: string[] = [];
  const rows: LogRow[] = [];
  let common: string | undefined;
  let listed = false;
  for (const path of paths) {
    const read = await readLog(path, { partial });
    if (read.length === 0) empty.push(String(path));
    for (const row of read) {
      const { shard, ...settings } = row.settings ?? ({} as LogSettings);
      const { seed: _seed, ...shared } = settings; // each shard may have drawn its own
      common = checkCommon(String(path), common, shared);
      const before = owner.get(row.idx);
      if (before !== undefined) throw misfit(`image ${row.idx} is in ${before} and in ${path}`);
      owner.set(row.idx, String(path));
      if (shard !== undefined) shards.push({ path: String(path), idx: row.idx, shard: `${shard}` });
      const { indices: _, ...whole } = settings;
      rows.push(row.settings ? { ...row, settings: whole as LogSettings } : row);
      listed ||= settings.indices !== undefined;
    }
  }
  const selection = checkSelection(shards, listed);
  if (!partial) checkComplete(selection, rows.length, images, empty);
  return rows.sort((a, b) => a.idx - b.idx);
}

function checkCommon(path: string, common: string | undefined, settings: object): string {
  const text = JSON.stringify(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (common === undefined || text === common) return text;
  const before = new Map<string, unknown>(JSON.parse(common));
  const now = new Map<string, unknown>(Object.entries(settings));
  const changed = [...new Set([...now.keys(), ...before.keys()])]
    .filter((name) => before.get(name) !== now.get(name))
    .map((name) => `${name} ${before.get(name)} and ${now.get(name)}`);
  throw misfit(`${path} has other settings than the logs before it: ${changed.join(", ")}`);
}

/** A row of a log that says of which shard it is, e.g. `0/8 of 10000`. */
interface ShardRow {
  readonly path: string;
  readonly idx: number;
  readonly shard: string;
}

/** What the shards are parts of, and how many rows each has. */
interface Selection {
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
function checkSelection(shards: readonly ShardRow[], listed: boolean): Selection | undefined {
  if (shards.length === 0) return undefined;
  const placed = shards.map((row) => ({ ...row, ...parsePlace(row) }));
  const { count, total, path, shard } = placed[0]!;
  const other = placed.find((row) => row.count !== count || row.total !== total);
  if (other)
    throw misfit(
      `the logs are of shards of different selections: ${path} is shard ${shard}, ${other.path} is shard ${other.shard}`,
    );
  if (!listed) checkSkip(placed);
  const found = new Map<number, number>();
  for (const { index } of placed) found.set(index, (found.get(index) ?? 0) + 1);
  return { count, total, found };
}

type PlacedRow = ShardRow & ReturnType<typeof parsePlace>;

function parsePlace({ path, shard }: ShardRow) {
  const [place = "", total = ""] = shard.split(" of ");
  if (!/^[1-9]\d*$/.test(total))
    throw misfit(`${path}: shard must read like 0/8 of 10000, got ${JSON.stringify(shard)}`);
  return { ...parseShard(place), total: Number(total) };
}

/** Checks that some `skip` puts every image where it is: images 0, skip, 2 skip … take turns over the shards. */
function checkSkip(rows: readonly PlacedRow[]): void {
  const common = rows.reduce((a, { idx }) => greatestDivisor(a, idx), 0);
  if (common === 0) return; // image 0 alone
  const misplaced = (skip: number) =>
    rows.find(({ idx, index, count, total }) => {
      const place = idx / skip;
      return place >= total || place % count !== index;
    });
  for (let skip = 1; skip * skip <= common; skip++)
    if (common % skip === 0 && !(misplaced(skip) && misplaced(common / skip))) return;
  const { idx, path, shard } = misplaced(common)!;
  throw misfit(
    `the logs are of shards of different selections: no one skip gives their images, e.g. image ${idx} to shard ${shard} in ${path}; certify all shards with the same skip and max`,
  );
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

function checkComplete(
  selection: Selection | undefined,
  rows: number,
  images: number | undefined,
  empty: readonly string[],
): void {
  if (images !== undefined && rows !== images)
    throw misfit(`${images} images expected, ${rows} found`);
  if (!selection) {
    if (empty.length === 0 || images !== undefined) return;
    throw misfit(`${empty[0]} has no rows; finish it, or merge with partial: true`);
  }
  const { count, total, found } = selection;
  for (let index = 0; index < Math.min(count, total); index++) {
    const expected = Math.ceil((total - index) / count);
    const there = found.get(index) ?? 0;
    if (there !== expected)
      throw misfit(
        `shard ${index}/${count} has ${there} of ${expected} images; finish it, or merge with partial: true`,
      );
  }
}

function misfit(problem: string): DmaeError {
  return new DmaeError("file", `mergeLogs: ${problem}`);
}
