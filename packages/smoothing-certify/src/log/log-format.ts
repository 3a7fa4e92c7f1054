import type { LogRow, LogSettings } from "./log-row.ts";

/** The columns of the field's logs, in their order. */
export const fieldColumns = ["idx", "label", "predict", "radius", "correct", "time"] as const;
const ourColumns = ["pLower", "samples", "counts0", "counts"] as const;
export const settingColumns = [
  "sigma",
  "alpha",
  "n0",
  "n",
  "seed",
  "generator",
  "settings",
] as const;
export const columns = [...fieldColumns, ...ourColumns, ...settingColumns];
/** Columns of runs that attack too, before the settings. */
export const attackColumns = ["attacked", "clean"] as const;

/**
 * The first line of a log, with its line end.
 *
 * @param extended whether it has our columns
 * @param attacked whether it has those of attacks too
 */
export function formatHeader(extended: boolean, attacked = false): string {
  const ours = [...ourColumns, ...(attacked ? attackColumns : []), ...settingColumns];
  return `${[...fieldColumns, ...(extended ? ours : [])].join("\t")}\n`;
}

/**
 * One row as a line with its line end. Numbers have full precision, so that no radius is rounded up;
 * votes are written sparsely, `10;3:997,5:3` for 997 votes of class 3 and 3 of class 5 among ten.
 *
 * @param extended whether to write our columns too, and those of attacks if the row has them
 */
export function formatRow(row: LogRow, extended: boolean): string {
  const field = [row.idx, row.label, row.predict, row.radius, row.correct, formatTime(row.time)];
  if (!extended) return `${field.join("\t")}\n`;
  const ours = [row.pLower, row.samples, formatCounts(row.counts0), formatCounts(row.counts)];
  const attack = row.attacked === undefined ? [] : [row.attacked, row.clean];
  return `${[...field, ...ours, ...attack, ...formatSettings(row.settings)].map((v) => v ?? "").join("\t")}\n`;
}

/** Begins the line that marks all rows of a log as invalid. */
export const INVALID = "# invalid: ";

/** The line that says that the rows above it must not be used. */
export function formatInvalid(reason: string): string {
  return `${INVALID}${reason.replace(/\s+/g, " ")}\n`;
}

/** Seconds as Python prints a timedelta: `1 day, 0:00:01.250000`. */
function formatTime(time: number | string): string {
  if (typeof time === "string") return time;
  const micros = Math.round(time * 1e6);
  const whole = Math.floor(micros / 1e6);
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const fraction = micros % 1e6 ? `.${String(micros % 1e6).padStart(6, "0")}` : "";
  return `${Math.floor(whole / 3600)}:${two((whole / 60) % 60)}:${two(whole % 60)}${fraction}`;
}

function formatCounts(counts: readonly number[] = []): string {
  const sparse = counts.flatMap((count, c) => (count > 0 ? [`${c}:${count}`] : []));
  return `${counts.length};${sparse.join(",")}`;
}

function formatSettings(settings: LogSettings | undefined): (string | number)[] {
  if (!settings) return settingColumns.map(() => "");
  const { sigma, alpha, n0, n, seed, generator, ...more } = settings;
  return [sigma, alpha, n0, n, seed, generator, JSON.stringify(more)];
}
