import { DmaeError } from "@dmae/core";
import { parseStrictJson } from "@dmae/core/checks";
import type { LogRow, LogSettings } from "./log-row.ts";

/** The columns of the field's logs, in their order. */
const fieldColumns = ["idx", "label", "predict", "radius", "correct", "time"] as const;
const ourColumns = ["pLower", "samples", "counts0", "counts"] as const;
const settingColumns = ["sigma", "alpha", "n0", "n", "seed", "generator", "settings"] as const;
const columns = [...fieldColumns, ...ourColumns, ...settingColumns];

/** The first line of a log, with its line end. */
export function formatHeader(extended: boolean): string {
  return `${(extended ? columns : fieldColumns).join("\t")}\n`;
}

/**
 * One row as a line with its line end. Numbers have full precision, so that no radius is rounded up;
 * votes are written sparsely, `10;3:997,5:3` for 997 votes of class 3 and 3 of class 5 among ten.
 *
 * @param extended whether to write our columns too
 */
export function formatRow(row: LogRow, extended: boolean): string {
  const field = [row.idx, row.label, row.predict, row.radius, row.correct, formatTime(row.time)];
  if (!extended) return `${field.join("\t")}\n`;
  const ours = [row.pLower, row.samples, formatCounts(row.counts0), formatCounts(row.counts)];
  return `${[...field, ...ours, ...formatSettings(row.settings)].map((v) => v ?? "").join("\t")}\n`;
}

/** Begins the line that takes back all rows of a log. */
const INVALID = "# invalid: ";

/** The line that says that the rows above it must not be used. */
export function formatInvalid(reason: string): string {
  return `${INVALID}${reason.replace(/\s+/g, " ")}\n`;
}

/**
 * Reads a log's text: ours, or that of the original Python tools.
 *
 * @param name of the file, for error messages
 * @param partial whether a last line that was cut off is left out instead of being an error
 * @throws {DmaeError} "file", naming the line, for anything that is no certification log, an index
 *   that occurs twice, or a log whose run found out that its rows are no certificates
 */
export function parseLog(text: string, name = "log", partial = false): LogRow[] {
  refuseInvalid(text, name);
  const { complete, torn } = splitTorn(text);
  const lines = complete.split("\n");
  lines.pop();
  const header = (lines[0] ?? "").replace(/\r$/, "").split("\t");
  const needed = header.includes("settings") ? columns : fieldColumns;
  const missing = needed.filter((column) => !header.includes(column));
  if (missing.length > 0)
    throw bad(
      name,
      1,
      `the header must have the columns ${needed.join(", ")}; it lacks ${missing.join(", ")}`,
    );
  const seen = new Map<number, number>();
  const settings = new Map<string, LogSettings>();
  const rows: LogRow[] = [];
  let cells = 0;
  lines.slice(1).forEach((line, i) => {
    if (line.trim() === "") return;
    rows.push(parseLine(line, header, name, i + 2, settings));
    const { idx, counts0 = [], counts = [] } = rows.at(-1)!;
    cells += counts0.length + counts.length;
    if (cells > Math.min(maxCells, cellsAllowed + cellsPerCharacter * text.length))
      throw bad(name, i + 2, `votes for ${cells} classes so far, which the log is too short for`);
    if (seen.has(idx))
      throw bad(name, i + 2, `image ${idx} is there already, in line ${seen.get(idx)}`);
    seen.set(idx, i + 2);
  });
  if (torn !== "" && !partial)
    throw bad(
      name,
      lines.length + 1,
      `cut off after ${JSON.stringify(torn.slice(-30))}; resume the run, or read it with { partial: true }`,
    );
  return rows;
}

/**
 * Votes are written sparsely and kept densely: a forged number of classes must not take more memory than
 * the file is worth. Fifty thousand rows of a thousand classes are within.
 */
const maxCells = 2 ** 27;
const cellsAllowed = 2 ** 22;
const cellsPerCharacter = 64;

function refuseInvalid(text: string, name: string): void {
  const at = text.startsWith(INVALID) ? 0 : text.indexOf(`\n${INVALID}`) + 1;
  if (at === 0 && !text.startsWith(INVALID)) return;
  const reason = text.slice(at + INVALID.length).split("\n", 1)[0];
  throw new DmaeError(
    "file",
    `readLog: ${name}: its run found out that its rows are no certificates, so they must not be used (${reason}); certify again, to another log`,
    { file: name },
  );
}

/**
 * Splits a log into its complete lines and a last line that was cut off. A last line without a line
 * end that is complete otherwise counts as complete.
 */
export function splitTorn(text: string): { complete: string; torn: string } {
  if (text === "" || text.endsWith("\n")) return { complete: text, torn: "" };
  const start = text.lastIndexOf("\n") + 1;
  const last = text.slice(start);
  const header = text
    .slice(0, Math.max(0, text.indexOf("\n")))
    .replace(/\r$/, "")
    .split("\t");
  try {
    if (start > 0) parseLine(last, header, "", 0, new Map());
    else if (!fieldColumns.every((column) => last.split("\t").includes(column))) throw new Error();
    return { complete: `${text}\n`, torn: "" };
  } catch {
    return { complete: text.slice(0, start), torn: last };
  }
}

function parseLine(
  line: string,
  header: readonly string[],
  name: string,
  number: number,
  known: Map<string, LogSettings>,
): LogRow {
  const cells = line.replace(/\r$/, "").split("\t");
  if (cells.length !== header.length)
    throw bad(name, number, `${header.length} columns expected, ${cells.length} found`);
  const cell = (column: string) => cells[header.indexOf(column)] ?? "";
  const numeric = (column: string, ok: (value: number) => boolean, rule: string) => {
    const value = cell(column).trim() === "" ? Number.NaN : Number(cell(column));
    if (!ok(value))
      throw bad(name, number, `${column} must be ${rule}, got ${JSON.stringify(cell(column))}`);
    return value;
  };
  const count = (value: number) => Number.isSafeInteger(value) && value >= 0;
  const row = {
    idx: numeric("idx", count, "an integer >= 0"),
    label: numeric("label", Number.isSafeInteger, "an integer"),
    predict: numeric("predict", (v) => Number.isSafeInteger(v) && v >= -1, "a class or -1"),
    radius: numeric("radius", (v) => v >= 0 && v < Number.POSITIVE_INFINITY, "a number >= 0"),
    correct: parseCorrect(cell("correct"), name, number),
    time: parseTime(cell("time")),
  };
  if (row.correct === 1 && row.predict !== row.label)
    throw bad(
      name,
      number,
      `correct is 1, but the prediction is ${row.predict} and the label ${row.label}`,
    );
  if (!header.includes("settings")) return row;
  const voted = {
    ...row,
    pLower: numeric("pLower", (v) => v >= 0 && v <= 1, "a number in [0, 1]"),
    samples: numeric("samples", count, "an integer >= 0"),
    counts0: parseCounts(cell("counts0"), name, number),
    counts: parseCounts(cell("counts"), name, number),
    settings: parseSettings(settingColumns.map(cell), name, number, known),
  };
  const problem = contradiction(voted);
  if (problem) throw bad(name, number, problem);
  return voted;
}

/** What is wrong with the votes of a row, if anything: they add up to what was drawn. */
function contradiction({
  samples,
  counts0,
  counts,
  settings,
}: Pick<Required<LogRow>, "samples" | "counts0" | "counts" | "settings">): string | undefined {
  const { procedure, n, n0 } = settings;
  const selected = counts0.reduce((sum, votes) => sum + votes, 0);
  const votes = counts.reduce((sum, votes) => sum + votes, 0);
  const fixed = procedure === "certify";
  if (fixed && selected !== n0) return `counts0 must sum to n0 = ${n0}, got ${selected}`;
  if (fixed && counts.length > 0 && votes !== n) return `counts must sum to n = ${n}, got ${votes}`;
  if (votes > n) return `counts must sum to at most n = ${n}, got ${votes}`;
  if (selected + votes !== samples)
    return `samples must be the ${selected + votes} votes of counts0 and counts, got ${samples}`;
  return undefined;
}

function parseCorrect(text: string, name: string, line: number): 0 | 1 {
  if (text === "1" || text === "True") return 1;
  if (text === "0" || text === "False") return 0;
  throw bad(name, line, `correct must be 0 or 1, got ${JSON.stringify(text)}`);
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

function parseTime(text: string): number | string {
  const match = /^(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text);
  if (!match) return text;
  const [, days = "0", hours, minutes, seconds] = match;
  const whole = Number(days) * 86400 + Number(hours) * 3600 + Number(minutes) * 60;
  return Math.round((whole + Number(seconds)) * 1e6) / 1e6;
}

function formatCounts(counts: readonly number[] = []): string {
  const sparse = counts.flatMap((count, c) => (count > 0 ? [`${c}:${count}`] : []));
  return `${counts.length};${sparse.join(",")}`;
}

function parseCounts(text: string, name: string, line: number): number[] {
  const wrong = () =>
    bad(name, line, `votes must read like 10;3:997,5:3, got ${JSON.stringify(text)}`);
  // Seven digits: a forged number of classes must not take all memory; all rows together have a budget too.
  const match = /^(\d{1,7});((?:\d+:\d+)(?:,\d+:\d+)*)?$/.exec(text);
  if (!match) throw wrong();
  const counts: number[] = new Array(Number(match[1])).fill(0);
  for (const pair of match[2]?.split(",") ?? []) {
    const [c, count] = pair.split(":").map(Number) as [number, number];
    if (c >= counts.length || counts[c] !== 0 || !Number.isSafeInteger(count)) throw wrong();
    counts[c] = count;
  }
  return counts;
}

function formatSettings(settings: LogSettings | undefined): (string | number)[] {
  if (!settings) return settingColumns.map(() => "");
  const { sigma, alpha, n0, n, seed, generator, ...more } = settings;
  return [sigma, alpha, n0, n, seed, generator, JSON.stringify(more)];
}

function parseSettings(
  cells: readonly string[],
  name: string,
  line: number,
  known: Map<string, LogSettings>,
): LogSettings {
  const text = cells.join("\t");
  const before = known.get(text);
  if (before) return before;
  const [sigma, alpha, n0, n, seed = "", generator = "", more = ""] = cells;
  let rest: LogSettings;
  try {
    rest = parseStrictJson(more, 2) as LogSettings;
    const isPlain = typeof rest === "object" && rest !== null && !Array.isArray(rest);
    if (
      !isPlain ||
      Object.values(rest).some((value) => typeof value === "object" && value !== null)
    )
      throw new Error();
  } catch {
    throw bad(
      name,
      line,
      `settings must be a JSON object of numbers and text, got ${JSON.stringify(more.slice(0, 40))}`,
    );
  }
  const number = (text = "") => (text.trim() === "" ? Number.NaN : Number(text));
  const numbers = { sigma: number(sigma), alpha: number(alpha), n0: number(n0), n: number(n) };
  for (const [column, value] of Object.entries(numbers))
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY))
      throw bad(name, line, `${column} must be a number >= 0, got ${value}`);
  const settings: LogSettings = { ...rest, ...numbers, seed, generator };
  known.set(text, settings);
  return settings;
}

function bad(name: string, line: number, problem: string): DmaeError {
  return new DmaeError("file", `readLog: ${name}, line ${line}: ${problem}`, { file: name, line });
}
