import { DmaeError } from "@dmae/core";
import { checkRows } from "../checks.ts";
import { rowFault, type Statement } from "../log/row-fault.ts";

/** Throws unless `rows` is an array of log rows that contradict neither themselves nor what a radius is. */
export function checkLogRows(
  caller: string,
  rows: readonly (Statement & { readonly idx?: number })[],
  name = "rows",
): void {
  checkRows(caller, rows, name);
  rows.forEach((row, i) => {
    const fault = typeof row === "object" && row ? rowFault(row) : "it is no log row";
    if (!fault) return;
    const where = row?.idx === undefined ? `${name}[${i}]` : `image ${row.idx} of ${name}`;
    throw new DmaeError("argument", `${caller}: ${where}: ${fault}`, { row: i });
  });
}
