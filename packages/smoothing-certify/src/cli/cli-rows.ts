import { formatRow } from "../log/log-format.ts";
import type { LogRow } from "../log/log-row.ts";
import { usualRadii } from "../report/analysis.ts";
import { LogDigest } from "../report/log-digest.ts";
import { percentText } from "../report/percent.ts";
import { columnName } from "../report/radius-kind.ts";
import type { Progress } from "../run/progress.ts";
import type { Arguments } from "./cli-arguments.ts";

/** Where a command writes, and how it is stopped. */
export interface Streams {
  /** Results; rejects where they cannot be written. */
  out(text: string): void | Promise<void>;
  /** Progress and warnings. */
  error(text: string): void;
  /** Whether progress goes to a terminal, whose line can be overwritten; default true. */
  readonly isTerminal?: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal?: AbortSignal;
}

/** The log of a run and its progress, unless it is to be quiet. */
export function outputOf(args: Arguments, io: Streams) {
  const log = args.get("log");
  return {
    ...(log !== undefined && { log }),
    ...(!args.has("quiet") && { onProgress: progressLine(io) }),
  };
}

/** Prints the rows of a run, unless they go to a log, and says at the end what they come to. */
export async function printRows(
  rows: AsyncIterable<LogRow>,
  args: Arguments,
  io: Streams,
): Promise<void> {
  const log = args.get("log");
  const digest = new LogDigest();
  try {
    for await (const row of rows) {
      digest.add(row);
      if (log === undefined) await io.out(formatRow(row, true));
    }
  } finally {
    const gap = io.isTerminal === false ? "" : "\n"; // after the line that progress overwrote
    if (!args.has("quiet")) io.error(digest.images > 0 ? `${gap}${summary(digest, log)}` : gap);
  }
}

/** Overwrites one line of a terminal with how far the run is; elsewhere writes a line every ten seconds. */
function progressLine({ error, isTerminal = true }: Streams): (progress: Progress) => void {
  let last = 0;
  return ({ done, total, rate, secondsLeft }) => {
    const now = performance.now();
    if (now - last < (isTerminal ? 250 : 10_000) && (done < total || !isTerminal)) return;
    last = now;
    const left = secondsLeft !== undefined ? `, ${duration(secondsLeft)} left` : "";
    const line = `${done} of ${total} images, ${Math.round(rate)} noisy images/s${left}`;
    error(isTerminal ? `\r${line}    ` : `${line}\n`);
  };
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function summary(digest: LogDigest, log: string | undefined): string {
  const target = digest.target;
  const radii = target === undefined ? usual(digest) : [target];
  const named = (name: string) => columnName(digest.kind("certify"), name);
  const list = radii.map(
    (r) => `${named(`r=${r}`)}: ${percentText(digest.certifiedShare("certify", r))} %`,
  );
  const acr =
    target === undefined ? `, ${named("ACR")} ${digest.averageRadius("certify").toFixed(4)}` : "";
  const samples = Math.round(digest.meanSamples ?? 0);
  return `${digest.images} images, certified accuracy ${list.join(", ")}${acr}; ${samples} samples an image${log ? `; ${log}` : ""}\n`;
}

const usual = (digest: LogDigest) =>
  digest.kind("certify").norm === "patch" ? usualRadii(digest) : [0, 0.25, 0.5, 0.75, 1];
