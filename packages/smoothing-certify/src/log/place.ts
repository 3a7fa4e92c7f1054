import { DmaeError } from "@dmae/core";

/** Where a line lies, for error messages. */
export interface Place {
  /** Name of the log. */
  readonly name: string;
  /** Number of the line, from 1. */
  readonly line: number;
}

/** An error that names the line. */
export function bad({ name, line }: Place, problem: string): DmaeError {
  return new DmaeError("file", `readLog: ${name}, line ${line}: ${problem}`, { file: name, line });
}
