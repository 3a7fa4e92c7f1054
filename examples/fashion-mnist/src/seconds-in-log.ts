import { existsSync, readFileSync } from "node:fs";
import { type LogRow, readLog } from "@dmae/smoothing-certify";

/** Seconds of a row, which may say them as h:mm:ss.ffffff. */
const secondsOf = ({ time }: LogRow): number =>
  typeof time === "number"
    ? time
    : time.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);

/**
 * Seconds that the certifications in a log took in all; 0 for a log that is not there yet. A last row that was cut off does
 * not count, as its image is certified again.
 */
export async function secondsInLog(log: string): Promise<number> {
  const isBegun = existsSync(log) && readFileSync(log, "utf8").includes("\n"); // with a whole header
  if (!isBegun) return 0;
  const rows = await readLog(log, { partial: true });
  return rows.reduce((sum, row) => sum + secondsOf(row), 0);
}
