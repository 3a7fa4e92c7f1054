import { basename } from "node:path";
import { DmaeError } from "@dmae/core";
import { writeAtomically } from "@dmae/core/files";
import { readLog, writeLog } from "../log/log-file.ts";
import { formatHeader, formatRow } from "../log/log-format.ts";
import type { LogRow } from "../log/log-row.ts";
import { mergeLogs } from "../log/merge.ts";
import { recertify } from "../log/recertify.ts";
import {
  formatSummaries,
  type NamedLog,
  summarizeLog,
  type TableFormat,
  usualRadii,
} from "../report/analysis.ts";
import { compare, type PairedDifference } from "../report/compare.ts";
import { certifiedAccuracySvg, svgToPng } from "../report/plot.ts";
import type { Norm } from "../statistics/noises-and-norms.ts";
import type { Arguments } from "./cli-arguments.ts";
import type { Streams } from "./cli-run.ts";

/** Runs `recertify`, `merge`, `compare` or `analyze`. */
export async function runLogs(command: string, args: Arguments, io: Streams): Promise<void> {
  if (args.files.length === 0)
    throw new DmaeError("argument", `${command}: name at least one log file`);
  if (command === "compare") return compareTwo(args, io);
  if (command === "analyze") return analyze(args, io);
  const rows = command === "merge" ? await merge(args) : await again(args);
  const out = args.text("out");
  if (out !== undefined) {
    await writeLog(out, rows);
    io.error(`${rows.length} rows written to ${out}\n`);
  } else {
    const extended = rows.some((row) => row.settings);
    await io.out(formatHeader(extended) + rows.map((row) => formatRow(row, extended)).join(""));
  }
}

async function compareTwo(args: Arguments, io: Streams): Promise<void> {
  const [a, b, ...more] = args.files;
  if (b === undefined || more.length > 0)
    throw new DmaeError("argument", `compare: name two logs, got ${args.files.length}`);
  const [sigma, votes] = [args.number("sigma"), args.number("votes")];
  const known = sigma !== undefined && votes !== undefined;
  const published = known && { sigma, n: votes, alpha: args.number("alpha") ?? 0.001 };
  const [radii, n] = [args.numbers("radii"), args.number("n")];
  const found = compare(await readLog(a!), await readLog(b), {
    ...(radii && { radii }),
    ...(n !== undefined && { n }),
    ...(published && { published }),
  });
  const line = (name: string, { a, b, difference, low, high }: PairedDifference) =>
    `${[name, ...[a, b, difference, low, high].map((value) => value.toFixed(4))].join("\t")}\n`;
  io.error(`${found.images} common images, n = ${found.n}\n`);
  io.out("\ta\tb\tb - a\tlow\thigh\n");
  for (const [i, radius] of found.radii.entries()) io.out(line(`r=${radius}`, found.accuracy[i]!));
  io.out(line("ACR", found.averageRadius));
}

async function merge(args: Arguments): Promise<LogRow[]> {
  return mergeLogs(args.files, { images: args.number("images"), partial: args.on("partial") });
}

async function again(args: Arguments): Promise<LogRow[]> {
  const [file, ...more] = args.files;
  if (more.length > 0)
    throw new DmaeError("argument", "recertify: name one log; merge shards first");
  return recertify(await readLog(file!), {
    alpha: args.number("alpha"),
    bound: args.text("bound") as "two-class" | undefined,
    norm: args.text("norm") as Norm | undefined,
    dimension: args.number("dimension"),
    topK: args.number("top-k"),
  });
}

async function analyze(args: Arguments, io: Streams): Promise<void> {
  const format = (args.text("format") ?? "text") as TableFormat;
  const partial = args.on("partial");
  const logs: NamedLog[] = [];
  for (const file of args.files)
    logs.push({ name: shortName(file), rows: await readLog(file, { partial }) });
  const sequential = logs.some(({ rows }) => rows[0]?.settings?.procedure === "at-radius");
  const shared = sequential ? undefined : longest(logs.map(({ rows }) => usualRadii(rows)));
  const radii = args.numbers("radii") ?? shared;
  const summaries = logs.map((log) => summarizeLog(log, radii));
  await io.out(formatSummaries(summaries, format));
  const picture = () => certifiedAccuracySvg(logs, { title: args.text("title") ?? "" });
  const svg = args.text("svg");
  const png = args.text("png");
  if (svg !== undefined) await writeAtomically("--svg", svg, picture());
  if (png !== undefined) await writeAtomically("--png", png, [await svgToPng(picture())]);
}

function longest(lists: readonly number[][]): number[] {
  return lists.reduce((most, list) => (list.length > most.length ? list : most), []);
}

/** The file's name; its folder too where all logs are called alike, as in the published folders. */
function shortName(file: string): string {
  const name = basename(file).replace(/\.tsv(\.gz)?$/, "");
  const parts = file.split(/[\\/]/);
  return /^noi[sz][et]_/.test(name) && parts.length > 1 ? `${parts.at(-2)}/${name}` : name;
}
