import { attackColumns, columns, fieldColumns, settingColumns } from "./log-format.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { SettingsReader } from "./parse-settings.ts";
import { bad, type Place } from "./place.ts";
import { rowFault } from "./row-fault.ts";

/** Parses the lines of one log, after its header. */
export class RowParser {
  private readonly at: Readonly<Record<string, number>>;
  private readonly length: number;
  private readonly extended: boolean;
  private readonly attacked: boolean;
  private readonly settings = new SettingsReader();
  private readonly endsWithSettings: boolean;
  /** The last columns of a line before, which most lines of a log share. */
  private tail: { readonly text: string; readonly settings: LogSettings } | undefined;

  /** @param header the first line, without its line end */
  constructor(header: string, name: string) {
    const names = header.split("\t");
    this.extended = names.includes("settings");
    this.attacked = this.extended && attackColumns.some((column) => names.includes(column));
    const ours = this.attacked ? [...columns, ...attackColumns] : columns;
    const needed: readonly string[] = this.extended ? ours : fieldColumns;
    const missing = needed.filter((column) => !names.includes(column));
    if (missing.length > 0)
      throw bad(
        { name, line: 1 },
        `not a certification log, as certify or the original Python tools write it: the header must have the columns ${needed.join(", ")}; it lacks ${missing.join(", ")}`,
      );
    this.length = names.length;
    this.endsWithSettings = `${names.slice(-settingColumns.length)}` === `${settingColumns}`;
    this.at = Object.fromEntries(names.map((column, i) => [column, i]).reverse()); // the first of two
  }

  /**
   * @param mostCounts numbers of classes that the row's votes may have together
   * @throws {DmaeError} "file" for a line that is no row
   */
  parse(line: string, place: Place, mostCounts: number): LogRow {
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    const tail = this.tail && text.endsWith(this.tail.text) ? this.tail : undefined;
    const cells = (tail ? text.slice(0, -tail.text.length) : text).split("\t");
    const found = cells.length + (tail ? settingColumns.length : 0);
    if (found !== this.length) throw bad(place, `${this.length} columns expected, ${found} found`);
    const row = this.parseField(cells, place);
    if (!this.extended) return row;
    const cell = (column: string) => cells[this.at[column]!]!;
    const counts0 = parseCounts(cell("counts0"), place, mostCounts);
    const voted = {
      ...row,
      pLower: this.number(cells, place, "pLower", isShare, "a number in [0, 1]"),
      samples: this.number(cells, place, "samples", isCount, "an integer >= 0"),
      counts0,
      counts: parseCounts(cell("counts"), place, mostCounts - counts0.length),
      ...(this.attacked && this.parseAttack(cells, place)),
      settings: tail?.settings ?? this.readSettings(settingColumns.map(cell), place),
    };
    const problem = contradiction(voted);
    if (problem) throw bad(place, problem);
    return voted;
  }

  private parseAttack(cells: readonly string[], place: Place) {
    return {
      attacked: this.number(cells, place, "attacked", (v) => v >= 0, "a distance or Infinity"),
      clean: this.number(cells, place, "clean", (v) => v === 0 || v === 1, "0 or 1") as 0 | 1,
    };
  }

  private readSettings(cells: readonly string[], place: Place): LogSettings {
    const settings = this.settings.read(cells, place);
    if (this.endsWithSettings) this.tail = { text: `\t${cells.join("\t")}`, settings };
    return settings;
  }

  private parseField(cells: readonly string[], place: Place) {
    const row = {
      idx: this.number(cells, place, "idx", isCount, "an integer >= 0"),
      label: this.number(cells, place, "label", Number.isSafeInteger, "an integer"),
      predict: this.number(cells, place, "predict", isClass, "a class or -1"),
      radius: this.number(cells, place, "radius", isRadius, "a number >= 0"),
      correct: parseCorrect(cells[this.at.correct!]!, place),
      time: parseTime(cells[this.at.time!]!),
    };
    const fault = rowFault(row);
    if (fault) throw bad(place, fault);
    return row;
  }

  private number(
    cells: readonly string[],
    place: Place,
    column: string,
    ok: (value: number) => boolean,
    rule: string,
  ): number {
    const text = cells[this.at[column]!]!;
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (ok(value)) return value;
    throw bad(place, `${column} must be ${rule}, got ${JSON.stringify(text)}`);
  }
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
const isClass = (value: number) => Number.isSafeInteger(value) && value >= -1;
const isRadius = (value: number) => value >= 0 && value < Number.POSITIVE_INFINITY;
const isShare = (value: number) => value >= 0 && value <= 1;

/** What is wrong with the votes of a row, if anything: they add up to what was drawn. */
function contradiction({
  samples,
  counts0,
  counts,
  settings,
}: Pick<Required<LogRow>, "samples" | "counts0" | "counts" | "settings">): string | undefined {
  const { procedure, n, n0 }: LogSettings = settings;
  const selected = sumOf(counts0);
  const votes = sumOf(counts);
  const fixed = procedure === "certify";
  if (fixed && selected !== n0) return `counts0 must sum to n0 = ${n0}, got ${selected}`;
  if (fixed && counts.length > 0 && votes !== n) return `counts must sum to n = ${n}, got ${votes}`;
  if (votes > n) return `counts must sum to at most n = ${n}, got ${votes}`;
  if (selected + votes !== samples)
    return `samples must be the ${selected + votes} votes of counts0 and counts, got ${samples}`;
  return undefined;
}

function sumOf(counts: readonly number[]): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}

function parseCorrect(text: string, place: Place): 0 | 1 {
  if (text === "1" || text === "True") return 1;
  if (text === "0" || text === "False") return 0;
  throw bad(place, `correct must be 0 or 1, got ${JSON.stringify(text)}`);
}

function parseTime(text: string): number | string {
  const match = /^(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text);
  if (!match) return text;
  const [, days = "0", hours, minutes, seconds] = match;
  const whole = Number(days) * 86400 + Number(hours) * 3600 + Number(minutes) * 60;
  return Math.round((whole + Number(seconds)) * 1e6) / 1e6;
}

/** Votes are written sparsely and kept densely, so a few characters may ask for much memory. */
function parseCounts(text: string, place: Place, most: number): number[] {
  const wrong = () => bad(place, `votes must read like 10;3:997,5:3, got ${JSON.stringify(text)}`);
  const numbers = new DigitReader(text);
  const length = numbers.read(";");
  if (!(length < 1e7)) throw wrong();
  if (length > most)
    throw bad(place, `votes for ${length} classes, which the log is too short for`);
  const counts: number[] = new Array(length).fill(0);
  while (!numbers.atEnd) {
    const c = numbers.read(":");
    const count = numbers.read(",");
    if (!(c < length) || counts[c] !== 0 || !Number.isSafeInteger(count)) throw wrong();
    counts[c] = count;
  }
  if (text.endsWith(",")) throw wrong();
  return counts;
}

/** Reads whole numbers with marks between them. */
class DigitReader {
  private at = 0;

  constructor(private readonly text: string) {}

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The number before `mark`, which only the last comma of a text may lack; NaN for anything else. */
  read(mark: ";" | ":" | ","): number {
    const start = this.at;
    let value = 0;
    for (; this.at < this.text.length; this.at++) {
      const digit = this.text.charCodeAt(this.at) - 48;
      if (digit < 0 || digit > 9) break;
      value = 10 * value + digit;
    }
    const isMarked = this.text[this.at] === mark || (mark === "," && this.atEnd);
    if (this.at++ === start || !isMarked) return Number.NaN;
    return value;
  }
}
