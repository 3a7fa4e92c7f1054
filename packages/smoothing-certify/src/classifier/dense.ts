import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import {
  type Classifier,
  type ClassifierOptions,
  type PreparedClassifier,
  prepareCalls,
} from "./classifier.ts";
import { type Outputs, readNumbers } from "./outputs.ts";

/**
 * Puts a model that answers each row with many numbers behind the interface of a classifier: its numbers
 * stand in place of the logits, so that rows are checked for independence like those of any other.
 */
export async function prepareDense(
  caller: string,
  model: Classifier,
  { input }: ClassifierOptions,
  tensor: boolean,
): Promise<PreparedClassifier> {
  const { traits, call } = await prepareCalls(caller, model, input, tensor);
  return {
    traits,
    classify: (batch, shape) => call(batch, shape, (returned) => readRows(returned, shape[0]!)),
  };
}

/** The numbers that a model returned for `rows` inputs, as many for each: `[rows, …rowShape]`. */
async function readRows(returned: unknown, rows: number): Promise<Outputs> {
  const isDeep = Array.isArray(returned) && Array.isArray(returned[0]);
  const { values, shape } = isDeep ? flatten(returned) : await readNumbers(returned);
  const width = values.length / rows;
  if (!Number.isInteger(width) || width < 1 || (shape.length > 1 && shape[0] !== rows))
    throw new DmaeError(
      "classifier",
      `the model must return as many numbers for each row, [${rows}, …], got shape [${shape}]`,
      { rows, shape },
    );
  const logits = Float64Array.from(values); // a copy: the model may use its memory again
  const odd = logits.findIndex(Number.isNaN);
  if (odd >= 0)
    throw new DmaeError(
      "classifier",
      `the model returned NaN as output ${odd % width} of row ${Math.floor(odd / width)}`,
      { row: Math.floor(odd / width), output: odd % width },
    );
  const rowShape = shape.length > 1 ? shape.slice(1) : [width];
  return { classes: new Int32Array(rows), logits, numClasses: width, rowShape };
}

/** Arrays of arrays of equal lengths, as deep as they go. */
function flatten(returned: readonly unknown[]): { values: number[]; shape: number[] } {
  const shape: number[] = [];
  for (let inner: unknown = returned; isList(inner); inner = inner[0]) shape.push(inner.length);
  const values: number[] = [];
  const walk = (value: unknown, depth: number): void => {
    if (depth < shape.length) {
      if (!isList(value) || value.length !== shape[depth])
        throw new DmaeError(
          "classifier",
          `the model must return rows of one shape, [${shape}], got ${isList(value) ? `${value.length} values` : show(value)} where ${shape[depth]} belong`,
        );
      for (let i = 0; i < value.length; i++) walk(value[i], depth + 1);
    } else if (typeof value === "number" || typeof value === "bigint") values.push(Number(value));
    else throw new DmaeError("classifier", `the model must return numbers, got ${show(value)}`);
  };
  walk(returned, 0);
  return { values, shape };
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}
