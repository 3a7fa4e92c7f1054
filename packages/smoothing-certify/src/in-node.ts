import { DmaeError } from "@dmae/core";

/** Whether this is Node, with files and threads, or a browser. */
export const inNode = typeof process === "object" && process.versions?.node !== undefined;

/** Refuses, in a browser, what needs Node. */
export function requireNode(caller: string, what: string): void {
  if (!inNode)
    throw new DmaeError("unsupported", `${caller}: ${what} need Node; this is a browser`);
}
