import { DmaeError } from "@dmae/core";
import { show } from "./checks.ts";
import { isTensor } from "./tensors.ts";

/** What a classifier said about `rows` inputs. */
export interface Outputs {
  /** Class of each row: the first of the largest logits, or the id that the classifier gave. */
  readonly classes: Int32Array;
  /** Logits `[rows, numClasses]`, where the classifier gives logits. */
  readonly logits?: ArrayLike<number>;
  /** Number of classes; 0 where ids came and no number was declared. */
  readonly numClasses: number;
}

/**
 * Turns what a classifier returned into classes, or throws: logits `[n, classes]` or class ids `[n]`,
 * as tensor, typed array, nested array or `{data, dims}`. Tensors are freed.
 *
 * @param numClasses declared number of classes, or 0
 */
export async function readOutputs(
  returned: unknown,
  rows: number,
  numClasses: number,
): Promise<Outputs> {
  const { values, shape } = await readNumbers(returned);
  const last = shape.at(-1) ?? 1;
  const size = values.length;
  if (size === rows && (shape.length === 1 || last === 1)) {
    if (rows === 1 && shape.length === 1 && numClasses === 1) throw oneClass();
    return fromIds(values, numClasses);
  }
  const classes = size / rows;
  const flat = shape.length === 1 || (shape.length >= 2 && shape[0] === rows && last === classes);
  if (!flat || !Number.isInteger(classes) || classes < 2)
    throw new DmaeError(
      "classifier",
      `the classifier must return logits [${rows}, classes] or class ids [${rows}], got shape [${shape}]`,
      { rows, shape },
    );
  if (numClasses > 0 && classes !== numClasses)
    throw new DmaeError(
      "classifier",
      `the classifier returned ${classes} logits a row, but numClasses is ${numClasses}`,
      { expected: numClasses, received: classes },
    );
  return fromLogits(values, rows, classes);
}

function oneClass(): DmaeError {
  return new DmaeError(
    "classifier",
    "the classifier has one output; give logits of two classes, e.g. [-s, s] for a score s",
  );
}

/** The numbers in a tensor, typed array, nested array or `{data, dims}`; tensors are freed. */
export async function readNumbers(
  returned: unknown,
): Promise<{ values: ArrayLike<number>; shape: readonly number[] }> {
  if (isTensor(returned)) {
    const values = await returned.data();
    const shape = [...returned.shape];
    returned.dispose();
    return { values, shape };
  }
  if (ArrayBuffer.isView(returned) && !(returned instanceof DataView))
    return plain(returned as unknown as ArrayLike<number>);
  if (Array.isArray(returned)) {
    if (returned.length === 1 && (isTensor(returned[0]) || isHolder(returned[0])))
      return readNumbers(returned[0]);
    if (returned.every((row) => typeof row === "number")) return plain(returned);
    return nested(returned);
  }
  if (isHolder(returned)) {
    const { values } = plain(returned.data);
    return { values, shape: (returned.dims ?? returned.shape ?? [values.length]).map(Number) };
  }
  throw new DmaeError(
    "classifier",
    `the classifier must return logits or class ids (tensor, typed array or arrays), got ${describe(returned)}`,
  );
}

interface Holder {
  data: ArrayLike<number>;
  dims?: readonly number[];
  shape?: readonly number[];
}

function isHolder(value: unknown): value is Holder {
  return typeof value === "object" && value !== null && ArrayBuffer.isView((value as Holder).data);
}

function plain(values: ArrayLike<number>) {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array)
    return { values: Float64Array.from(values, Number), shape: [values.length] };
  return { values, shape: [values.length] };
}

function nested(rows: unknown[]) {
  const first = rows[0] as ArrayLike<number> | undefined;
  const width = first?.length ?? 0;
  const values = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    const length = (row as ArrayLike<number> | undefined)?.length;
    if (typeof row !== "object" || length !== width)
      throw new DmaeError(
        "classifier",
        `the classifier must return rows of one length, got ${width} numbers in row 0 and ${length ?? show(row)} in row ${i}`,
      );
    values.set(row as ArrayLike<number>, i * width);
  });
  return { values, shape: [rows.length, width] };
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return show(value);
  return `an object with ${Object.keys(value).slice(0, 6).join(", ") || "no fields"}`;
}

function fromIds(values: ArrayLike<number>, numClasses: number): Outputs {
  const classes = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const id = values[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= (numClasses || 2 ** 24))
      throw new DmaeError(
        "classifier",
        `the classifier returned class ${id} for row ${i}; classes are the integers ${numClasses ? `0 … ${numClasses - 1}` : "from 0"}`,
        { row: i, received: id },
      );
    classes[i] = id;
  }
  return { classes, numClasses };
}

function fromLogits(logits: ArrayLike<number>, rows: number, numClasses: number): Outputs {
  const classes = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * numClasses;
    let best = start;
    for (let i = start; i < start + numClasses; i++) {
      const value = logits[i]!;
      if (value > logits[best]!) best = i;
      else if (Number.isNaN(value))
        throw new DmaeError(
          "classifier",
          `the classifier returned NaN for class ${i - start} of row ${row}`,
          { row, class: i - start },
        );
    }
    classes[row] = best - start;
  }
  return { classes, logits, numClasses };
}
