import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import { fromFloat16 } from "./float16.ts";
import { readNumbers } from "./outputs.ts";

/** Name of an input or output: the one that is asked for, else the only one. */
export function chooseName(
  caller: string,
  kind: "input" | "output",
  names: readonly string[],
  wanted: string | undefined,
): string {
  if (wanted !== undefined ? names.includes(wanted) : names.length === 1)
    return wanted ?? names[0]!;
  throw new DmaeError(
    "argument",
    `${caller}: ${kind} must be one of ${names.join(", ")}, got ${show(wanted)}`,
  );
}

/**
 * The answer of a model: logits or class ids as they are, float16 widened. The single output of a model of two
 * classes becomes two: `[1 - p, p]` of a probability, `[-s, s]` of a logit.
 *
 * @param binary what the model's single output is, where that is known
 */
export async function readModelOutput(
  caller: string,
  returned: unknown,
  rows: number,
  binary: "probability" | "logit" | undefined,
): Promise<unknown> {
  const answer = widened(returned);
  if (isIds(returned)) return answer;
  const { values, shape } = await readNumbers(answer);
  if (values.length !== rows || !binary) return { data: values, dims: shape };
  const logits = new Float64Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    const value = Number(values[row]);
    if (binary === "probability" && !(value >= 0 && value <= 1))
      throw new DmaeError(
        "classifier",
        `${caller}: the model's output must be a probability, got ${value} in row ${row}; set binary: "logit" if it is one`,
      );
    logits[2 * row] = binary === "probability" ? 1 - value : -value;
    logits[2 * row + 1] = value;
  }
  return { data: logits, dims: [rows, 2] };
}

interface TypedAnswer {
  readonly type?: string;
  readonly dtype?: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

/** Whether the numbers are integers, so that they name classes. */
function isIds(returned: unknown): boolean {
  const { type, dtype = type } = (returned ?? {}) as TypedAnswer;
  return typeof dtype === "string" && /^u?int\d+$/.test(dtype);
}

function widened(returned: unknown): unknown {
  const { type, data, dims } = (returned ?? {}) as TypedAnswer;
  return type === "float16" && data instanceof Uint16Array
    ? { data: fromFloat16(data), dims }
    : returned;
}
