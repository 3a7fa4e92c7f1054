import { DmaeError } from "@dmae/core";
import { writeAtomically } from "@dmae/core/files";
import { logText, readLogRows, rowBatches, writeLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { mergeLogRows } from "../log/merge.ts";
import { recertify } from "../log/recertify.ts";
import { formatSummaries, summarize, usualRadii } from "../report/analysis.ts";
import { checkKinds } from "../report/check-kinds.ts";
import { compareLogs } from "../report/compare.ts";
import { ComparedLog } from "../report/compared-log.ts";
import { LogDigest } from "../report/log-digest.ts";
import type { PairedDifference } from "../report/paired.ts";
import { drawCurves, svgToPng } from "../report/plot.ts";
import type { Arguments } from "./cli-arguments.ts";
import type { Streams } from "./cli-rows.ts";
import { logNames } from "./log-names.ts";

/** Runs `recertify`, `merge`, `compare` or `analyze`. */
export async function runLogs(command: string, args: Arguments, io: Streams): Promise<void> {
  if (args.files.length === 0)
    throw new DmaeError("argument", `${command}: name at least one log file`);
  if (command === "compare") return compareTwo(args, io);
  if (command === "analyze") return analyze(args, io);
  const rows = new Counted(command === "merge" ? merge(args) : recertifyLog(args));
  const out = args.get("out");
  if (out === undefined) for await (const text of logText(rows)) await io.out(text);
  else {
    await writeLog(out, rows);
    io.error(`${rows.count} rows written to ${out}\n`);
  }
}

async function compared(file: string, partial: boolean): Promise<ComparedLog> {
  const log = new ComparedLog();
  for await (const rows of rowBatches(file, partial)) for (const row of rows) log.add(row);
  return log;
}

/** Counts rows as they pass. */
class Counted implements AsyncIterable<LogRow> {
  count = 0;
  constructor(private readonly rows: AsyncIterable<LogRow>) {}

  async *[Symbol.asyncIterator]() {
    for await (const row of this.rows) {
      this.count++;
      yield row;
    }
  }
}

async function compareTwo(args: Arguments, io: Streams): Promise<void> {
  const [a, b, ...more] = args.files;
  if (b === undefined || more.length > 0)
    throw new DmaeError("argument", `compare: name two logs, got ${args.files.length}`);
  const partial = args.has("partial");
  const logs = [await compared(a!, partial), await compared(b, partial)] as const;
  const found = compareLogs(...logs, {
    ...args.pick("radii", "n"),
    ...publishedOf(args, logs),
  });
  const line = (name: string, { a, b, difference, low, high }: PairedDifference) =>
    `${[name, ...[a, b, difference, low, high].map(four)].join("\t")}\n`;
  io.error(`${found.images} common images, n = ${found.n}\n`);
  io.out("\ta\tb\tb - a\tlow\thigh\n");
  for (const [i, radius] of found.radii.entries()) io.out(line(`r=${radius}`, found.accuracy[i]!));
  io.out(line("ACR", found.averageRadius));
}

/** What a log of another tool does not say, as the options of the command. */
function publishedOf(args: Arguments, logs: readonly ComparedLog[]) {
  const { sigma, votes, alpha = 0.001 } = args.pick("sigma", "votes", "alpha");
  const bare = logs.findIndex((log) => log.lacksSettings);
  if (bare === -1) args.refuse(["sigma", "votes", "alpha"], "is for logs that do not say theirs");
  if (bare === -1) return {};
  if (sigma !== undefined && votes !== undefined) return { published: { sigma, n: votes, alpha } };
  throw new DmaeError(
    "argument",
    `compare: ${args.files[bare]} does not say its sigma, n and alpha; give --sigma, --votes (its n) and --alpha (default: 0.001)`,
  );
}

const four = (value: number) => (Number.isNaN(value) ? "-" : value.toFixed(4));

const merge = (args: Arguments) => mergeLogRows(args.files, args.pick("images", "partial"));

async function* recertifyLog(args: Arguments): AsyncGenerator<LogRow, void, void> {
  const [file, ...more] = args.files;
  if (more.length > 0)
    throw new DmaeError("argument", "recertify: name one log; merge shards first");
  const options = args.pick("alpha", "bound", "norm", "dimension", "top-k");
  recertify([], options); // wrong options are errors before anything is read
  const partial = args.has("partial");
  for await (const _ of rowBatches(file!, partial)); // a log that its run marked as invalid gives no row
  for await (const row of readLogRows(file!, { partial })) yield* recertify([row], options);
}

async function analyze(args: Arguments, io: Streams): Promise<void> {
  const format = args.get("format") ?? "text";
  const logs: { name: string; digest: LogDigest }[] = [];
  const names = logNames(args.files);
  for (const [i, file] of args.files.entries())
    logs.push({ name: names[i]!, digest: await digestOf(file, args.has("partial")) });
  checkKinds(
    "analyze",
    logs.map(({ name, digest }) => ({ name, kind: digest.kind("analyze") })),
  );
  const sequential = logs.some(({ digest }) => digest.target !== undefined);
  const shared = sequential ? undefined : longest(logs.map(({ digest }) => usualRadii(digest)));
  const radii = args.get("radii") ?? shared;
  const summaries = logs.map(({ name, digest }) => summarize(name, digest, radii));
  await io.out(formatSummaries(summaries, format));
  const picture = () => drawCurves(logs, args.get("title"));
  const svg = args.get("svg");
  const png = args.get("png");
  if (svg !== undefined) await writeAtomically("--svg", svg, picture());
  if (png !== undefined) await writeAtomically("--png", png, [await svgToPng(picture())]);
}

async function digestOf(file: string, partial: boolean): Promise<LogDigest> {
  const digest = new LogDigest();
  for await (const rows of rowBatches(file, partial)) for (const row of rows) digest.add(row);
  return digest;
}

function longest(lists: readonly number[][]): number[] {
  return lists.reduce((most, list) => (list.length > most.length ? list : most), []);
}
