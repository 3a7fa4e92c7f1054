import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import { hasNumbers, isDisposed, isTensor, type TensorLike } from "./tensors.ts";

/** What a classifier said about `rows` inputs. */
export interface Outputs {
  /** Class of each row: the first of the largest logits, or the id that the classifier gave. */
  readonly classes: Int32Array;
  /** Logits `[rows, numClasses]`, where the classifier gives logits; a copy, as it may use its memory again. */
  readonly logits?: ArrayLike<number>;
  /** Number of classes; 0 where ids came and no number was declared. */
  readonly numClasses: number;
  /** Shape of a row's answer, where the model answers with more than a class; see `prepareDense`. */
  readonly rowShape?: readonly number[];
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
  const { values, shape: dims } = await readNumbers(returned);
  const shape = withoutOnes(dims);
  const last = shape.at(-1) ?? 1;
  const size = values.length;
  if (size === rows && (shape.length === 1 || last === 1)) {
    if (rows === 1 && shape.length === 1 && numClasses === 1) throw oneClass();
    return fromIds(values, numClasses, dims.length > 1);
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

/** The shape without lengths of 1 at its end, which global pooling leaves: `[n, classes, 1, 1]` is `[n, classes]`. */
function withoutOnes(shape: readonly number[]): readonly number[] {
  const length = shape.findLastIndex((size) => size !== 1) + 1;
  return shape.slice(0, Math.max(Math.min(2, shape.length), length));
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
  if (isTensor(returned)) return readTensor(returned);
  if (ArrayBuffer.isView(returned) && !(returned instanceof DataView))
    return plain(returned as unknown as ArrayLike<number>);
  if (Array.isArray(returned)) {
    if (returned.length === 1 && (isTensor(returned[0]) || isHolder(returned[0])))
      return readNumbers(returned[0]);
    if (returned.every((row) => typeof row === "number")) return plain(returned);
    refuseTensors(returned);
    return nested(returned);
  }
  if (isHolder(returned)) {
    const { values } = plain(returned.data);
    return { values, shape: (returned.dims ?? returned.shape ?? [values.length]).map(Number) };
  }
  if (typeof returned === "object" && returned !== null) refuseTensors(returned);
  throw new DmaeError(
    "classifier",
    `the classifier must return logits or class ids (tensor, typed array or arrays), got ${describe(returned)}`,
  );
}

async function readTensor(tensor: TensorLike) {
  if (isDisposed(tensor))
    throw new DmaeError(
      "classifier",
      "the classifier returned a tensor that is disposed already; what it returns is freed here, so return a new one each time, e.g. tf.clone(logits) of one that you keep",
    );
  try {
    if (!hasNumbers(tensor))
      throw new DmaeError(
        "classifier",
        `the classifier must return a tensor of numbers, got dtype ${tensor.dtype}`,
      );
    return { values: await tensor.data(), shape: [...tensor.shape] };
  } finally {
    tensor.dispose();
  }
}

/** Frees the tensors of an answer that has several, and throws. */
function refuseTensors(answer: object): void {
  const values = Object.values(answer);
  const tensors = values.filter(isTensor);
  if (tensors.length === 0) return;
  for (const tensor of tensors) if (!isDisposed(tensor)) tensor.dispose();
  const names = Array.isArray(answer) ? "" : ` named ${Object.keys(answer).join(", ")}`;
  throw new DmaeError(
    "classifier",
    `the classifier must return one tensor of logits or class ids, got ${values.length} values${names}; return the logits alone`,
    { received: values.length },
  );
}

interface Holder {
  data: ArrayLike<number>;
  dims?: readonly number[];
  shape?: readonly number[];
}

function isHolder(value: unknown): value is Holder {
  return (
    typeof value === "object" &&
    value !== null &&
    isRow((value as Holder).data) &&
    !Array.isArray((value as Holder).data)
  );
}

function plain(values: ArrayLike<number>) {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array)
    return { values: Float64Array.from(values, Number), shape: [values.length] };
  return { values, shape: [values.length] };
}

function nested(rows: unknown[]) {
  const width = isRow(rows[0]) ? rows[0].length : 0;
  const values = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    if (!isRow(row))
      throw new DmaeError(
        "classifier",
        `the classifier must return rows of numbers, got ${show(row)} as row ${i}`,
        { row: i },
      );
    if (row.length !== width)
      throw new DmaeError(
        "classifier",
        `the classifier must return rows of one length, got ${width} numbers in row 0 and ${row.length} in row ${i}`,
      );
    const odd = Array.isArray(row) ? row.findIndex((value) => typeof value !== "number") : -1;
    if (odd >= 0)
      throw new DmaeError(
        "classifier",
        `the classifier must return numbers, got ${show(row[odd])} in row ${i}${row[odd] === null ? "; JSON writes NaN and Infinity as null" : ""}`,
        { row: i },
      );
    values.set(plain(row).values, i * width);
  });
  return { values, shape: [rows.length, width] };
}

function isRow(value: unknown): value is ArrayLike<number> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return show(value);
  return `an object with ${Object.keys(value).slice(0, 6).join(", ") || "no fields"}`;
}

/** What to do about a model of two classes whose single output is no class. */
const BINARY =
  '; if this is the single output of a model of two classes, say binary: "probability" or "logit" to fromOnnx or fromModelJson, or return [-s, s] for a logit s';

function fromIds(values: ArrayLike<number>, numClasses: number, isColumn: boolean): Outputs {
  const classes = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const id = values[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= (numClasses || 2 ** 24))
      throw new DmaeError(
        "classifier",
        `the classifier returned class ${id} for row ${i}; classes are the integers ${numClasses ? `0 … ${numClasses - 1}` : "from 0"}${isColumn ? BINARY : ""}`,
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
    let finite = false;
    for (let i = start; i < start + numClasses; i++) {
      const value = logits[i]!;
      finite ||= Number.isFinite(value);
      if (value > logits[best]!) best = i;
      else if (Number.isNaN(value))
        throw new DmaeError(
          "classifier",
          `the classifier returned NaN for class ${i - start} of row ${row}`,
          { row, class: i - start },
        );
    }
    if (!finite)
      throw new DmaeError(
        "classifier",
        `the classifier must return logits of which one is finite, got only infinite ones for row ${row}; it has probably overflowed`,
        { row },
      );
    classes[row] = best - start;
  }
  return { classes, logits: new Float64Array(logits), numClasses };
}
