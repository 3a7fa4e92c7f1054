import { DmaeError } from "@dmae/core";
import type { LogRow, LogSettings } from "./log-row.ts";

/** What fingerprints are of. */
function explain(changed: readonly string[]): string {
  const of = {
    classifier: "the model's files, its preprocessing and its classes on 64 probe images",
    data: "the data set's size, shape and some of its images",
  };
  return Object.entries(of)
    .filter(([name]) => changed.includes(name))
    .map(([name, what]) => `; ${name} is a fingerprint of ${what}`)
    .join("");
}

/** Throws unless a row depends on what the new rows depend on. */
export function checkSame(file: string, row: LogRow, settings: LogSettings): void {
  const old = row.settings;
  if (!old)
    throw new DmaeError(
      "resume",
      `certifyDataset: ${file} does not say with which settings it was made; write to another log`,
      { file },
    );
  if (settings.classifier !== undefined && old.classifier === undefined)
    throw new DmaeError(
      "resume",
      `certifyDataset: ${file} does not say which classifier made it; logs of older versions can be analysed, not continued; write to another log`,
      { file },
    );
  const names = new Set([...Object.keys(old), ...Object.keys(settings)]);
  const changed = [...names].filter((name) => old[name] !== settings[name]);
  if (changed.length === 0) return;
  const list = changed
    .map((name) => `${name} ${old[name]} there, ${settings[name]} now`)
    .join("; ");
  throw new DmaeError(
    "resume",
    `certifyDataset: ${file} was made with other settings (${list}); write to another log${explain(changed)}`,
    { file, changed },
  );
}
