import { DmaeError } from "@dmae/core";

/** A shape as messages write it. */
export const shown = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** Refuses shapes; the tracer puts the operation before the sentence and the user's line behind it. */
export function refuseShape(sentence: string): never {
  throw new DmaeError("shape", sentence);
}

/** Refuses what has no translation; the tracer names operation and line. */
export function refuseUnsupported(sentence: string): never {
  throw new DmaeError("unsupported", sentence);
}
