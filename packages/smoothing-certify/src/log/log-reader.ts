import { DmaeError } from "@dmae/core";
import { INVALID } from "./log-format.ts";
import type { LogRow } from "./log-row.ts";
import { RowParser } from "./parse-row.ts";
import { bad } from "./place.ts";

/**
 * Votes are written sparsely and kept densely: a forged number of classes must not take more memory than
 * the file is worth. A list may hold fifty thousand rows of a thousand classes.
 */
const mostCountsOfList = 2 ** 27;
const countsAllowed = 2 ** 22;
const countsPerCharacter = 64;

/** Reads a log line by line, in memory that does not grow with the votes. */
export class LogReader {
  /** The first line, once it was read. */
  header: string | undefined;
  private parser: RowParser | undefined;
  private readonly lines = new LinesOfImages();
  private line = 0;
  private counts = 0;
  private characters = 0;

  /** @param name of the file, for error messages */
  constructor(private readonly name: string) {}

  /**
   * The row of a line without its line end; undefined for the header and for empty lines.
   *
   * @throws {DmaeError} "file", naming the line, for anything else
   */
  read(text: string): LogRow | undefined {
    const place = { name: this.name, line: ++this.line };
    this.characters += text.length + 1;
    if (text.startsWith(INVALID)) throw invalid(this.name, text.slice(INVALID.length));
    if (this.parser === undefined) {
      this.header = text.replace(/\r$/, "");
      this.parser = new RowParser(this.header, this.name);
      return undefined;
    }
    if (text.trim() === "") return undefined;
    const row = this.parser.parse(text, place, this.countsLeft());
    this.counts += countsOf(row);
    const before = this.lines.add(row.idx, place.line);
    if (before !== undefined)
      throw bad(place, `image ${row.idx} is there already, in line ${before}`);
    return row;
  }

  /**
   * The row of what follows the last line end, if it is complete; undefined where it was cut off.
   *
   * @param partial whether a line that was cut off is left out instead of being an error
   */
  readLast(text: string, partial: boolean): LogRow | undefined {
    if (text === "" && this.parser) return undefined;
    if (this.isComplete(text)) return this.read(text);
    if (partial) return undefined;
    throw bad(
      { name: this.name, line: this.line + 1 },
      `cut off after ${JSON.stringify(text.slice(-30))}; resume the run, or read it with { partial: true }`,
    );
  }

  /** Whether what follows the last line end is a line that lacks only its line end. */
  isComplete(text: string): boolean {
    if (text.startsWith(INVALID)) return true;
    if (!this.parser) return true; // a header, or no log: reading it tells
    try {
      this.parser.parse(text, { name: "", line: 0 }, this.countsLeft());
      return true;
    } catch {
      return false;
    }
  }

  private countsLeft(): number {
    return countsAllowed + countsPerCharacter * this.characters - this.counts;
  }
}

const countsOf = ({ counts0 = [], counts = [] }: LogRow) => counts0.length + counts.length;

/** Finds images that occur twice. Images in ascending order take sixteen bytes each. */
export class LinesOfImages {
  private images: number[] = [];
  private lines: number[] = [];
  private most = -1;
  private found: Map<number, number> | undefined;

  /** The line in which the image was before, or undefined. */
  add(idx: number, line: number): number | undefined {
    if (idx > this.most) this.most = idx;
    else {
      this.found ??= this.toMap();
      const before = this.found.get(idx);
      if (before !== undefined) return before;
    }
    if (this.found) this.found.set(idx, line);
    else {
      this.images.push(idx);
      this.lines.push(line);
    }
    return undefined;
  }

  private toMap(): Map<number, number> {
    const map = new Map(this.images.map((image, i) => [image, this.lines[i]!]));
    this.images = [];
    this.lines = [];
    return map;
  }
}

/** Rows that are held at once. */
export class RowList {
  readonly rows: LogRow[] = [];
  private counts = 0;

  constructor(private readonly name: string) {}

  /** @throws {DmaeError} "file" where the votes take too much memory */
  add(row: LogRow): void {
    this.counts += countsOf(row);
    if (this.counts > mostCountsOfList)
      throw new DmaeError(
        "file",
        `readLog: ${this.name}: a list may hold votes for ${mostCountsOfList} classes in total; read it row by row, with readLogRows`,
        { file: this.name },
      );
    this.rows.push(row);
  }
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
  const lines = text.split("\n");
  const last = lines.pop()!;
  const reader = new LogReader(name);
  const list = new RowList(name);
  for (const line of lines) {
    const row = reader.read(line);
    if (row) list.add(row);
  }
  const row = reader.readLast(last, partial);
  if (row) list.add(row);
  return list.rows;
}

function invalid(name: string, reason: string): DmaeError {
  return new DmaeError(
    "file",
    `readLog: ${name}: its run found out that its rows are no certificates, so they must not be used (${reason}); certify again, to another log`,
    { file: name },
  );
}
