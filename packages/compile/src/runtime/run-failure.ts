import { DmaeError } from "@dmae/core";
import { cardMemory } from "./card-memory.ts";
import { explainRun, isMemorySpent } from "./cuda-fix.ts";
import { providerOf, type RuntimeOptions } from "./runtime.ts";

/**
 * The error of a run, or of taking memory for one, that ONNX Runtime reported.
 *
 * @param batch the batch size of the program, where it has one
 */
export async function runFailure(
  caller: string,
  options: RuntimeOptions,
  error: unknown,
  batch: number | undefined,
): Promise<DmaeError> {
  const reason = error instanceof Error ? error.message : String(error);
  const asksDriver = providerOf(options) === "cuda" && isMemorySpent(reason);
  const card = asksDriver ? await cardMemory() : undefined;
  return new DmaeError(
    "unsupported",
    `${caller}: ONNX Runtime failed: ${explainRun(reason, batch, card)}`,
    {},
    { cause: error },
  );
}

/** The batch size: the smallest first dimension above 1 of the inputs that are no state. */
export function batchSize(
  shapes: Iterable<readonly [name: string, shape: readonly number[] | undefined]>,
): number | undefined {
  const first = [...shapes]
    .filter(([name]) => !name.startsWith("state:"))
    .map(([, shape]) => shape?.[0] ?? 1)
    .filter((size) => size > 1);
  return first.sort((a, b) => a - b)[0];
}
