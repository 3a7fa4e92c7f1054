import { DmaeError, type WorldData, type WorldOperation } from "@dmae/core";

/** The operations by the numbers that `mpi.c` gives them. */
export const OPERATIONS: readonly WorldOperation[] = ["sum", "max", "min"];

const TYPES = [Float32Array, Float64Array, Int32Array, Uint8Array];

/** Throws for what ranks cannot exchange. */
export function checkData(caller: string, data: WorldData): void {
  if (!TYPES.some((type) => data instanceof type))
    throw new DmaeError(
      "argument",
      `${caller}: data must be a Float32Array, Float64Array, Int32Array or Uint8Array, got ${nameOf(data)}`,
    );
  if (data.buffer instanceof ArrayBuffer && (data.buffer as { detached?: boolean }).detached)
    throw new DmaeError("argument", `${caller}: data must be an array that still has its memory`);
}

/** The number of an operation. */
export function operationNumber(operation: WorldOperation): number {
  const number = OPERATIONS.indexOf(operation);
  if (number >= 0) return number;
  throw new DmaeError(
    "argument",
    `allReduce: operation must be "sum", "max" or "min", got ${JSON.stringify(operation)}`,
  );
}

/** Throws for a root that is no rank. */
export function checkRoot(root: number, size: number): void {
  if (Number.isInteger(root) && root >= 0 && root < size) return;
  throw new DmaeError("argument", `broadcast: root must be a rank below ${size}, got ${root}`);
}

const nameOf = (value: unknown) =>
  (value as object | undefined)?.constructor?.name ?? String(value);
