import { parseStrictJson } from "@dmae/core/checks";
import type { LogSettings } from "./log-row.ts";
import { bad, type Place } from "./place.ts";

/** Settings that are kept: a log of one run has one, a forged one may have others in every row. */
const MOST_KNOWN = 1000;

/** Reads the columns of settings; rows with the same settings share one object. */
export class SettingsReader {
  private readonly known = new Map<string, LogSettings>();

  /** @throws {DmaeError} "file" for cells that are no settings */
  read(cells: readonly string[], place: Place): LogSettings {
    const text = cells.join("\t");
    const before = this.known.get(text);
    if (before) return before;
    const settings = parseSettings(cells, place);
    if (this.known.size >= MOST_KNOWN) this.known.clear();
    this.known.set(text, settings);
    return settings;
  }
}

function parseSettings(cells: readonly string[], place: Place): LogSettings {
  const [sigma, alpha, n0, n, seed = "", generator = "", more = ""] = cells;
  const number = (text = "") => (text.trim() === "" ? Number.NaN : Number(text));
  const rest = parseMore(more, place);
  const numbers = { sigma: number(sigma), alpha: number(alpha), n0: number(n0), n: number(n) };
  for (const [column, value] of Object.entries(numbers))
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY))
      throw bad(place, `${column} must be a number >= 0, got ${value}`);
  return { ...rest, ...numbers, seed, generator };
}

function parseMore(text: string, place: Place): LogSettings {
  try {
    const found = parseStrictJson(text, 2) as LogSettings;
    const isNested = (value: unknown) => typeof value === "object" && value !== null;
    const isPlain = isNested(found) && !Array.isArray(found);
    if (isPlain && !Object.values(found).some(isNested)) return found;
  } catch {
    // not JSON: the same error
  }
  throw bad(
    place,
    `settings must be a JSON object of numbers and text, got ${JSON.stringify(text.slice(0, 40))}`,
  );
}
