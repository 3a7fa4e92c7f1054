import { type Batch, DmaeError, type HostTensor } from "@dmae/core";

/** Rows of probabilities may differ from the sum 1 by what rounding to 16 bits leaves. */
const SUM_TOLERANCE = 1e-2;

/** What soft labels must fit. */
export interface SoftLabelNeeds {
  /** Whether the method reads any. */
  readonly isNeeded: boolean;
  /** The method, for messages. */
  readonly method: string;
  readonly numClasses: number;
  /** Images of the data set; undefined for a batch source, which does not tell. */
  readonly length: number | undefined;
}

/**
 * Checks soft labels before any work.
 *
 * @throws DmaeError "argument" where a method needs some and has none, or the other way round; for another shape; for
 *   rows that are not probabilities
 */
export function checkSoftLabels(softLabels: HostTensor | undefined, needs: SoftLabelNeeds): void {
  const [rule, got] = broken(softLabels, needs) ?? [];
  if (rule) throw new DmaeError("argument", `robustFinetune: ${rule}, got ${got}`);
}

/** The rule that soft labels break, and what they are. */
function broken(
  softLabels: HostTensor | undefined,
  { isNeeded, method, numClasses, length }: SoftLabelNeeds,
): readonly [rule: string, got: string] | undefined {
  if (!isNeeded)
    return softLabels && ["softLabels must be left out", `some with the method ${method}`];
  const rule = `softLabels must be [${length ?? "N"}, ${numClasses}] float32 with ${method}, a row for each image of the data set`;
  if (!softLabels) return [rule, "none"];
  const { dtype, shape, data } = softLabels;
  const [rows = 0, classes] = shape;
  if (shape.length !== 2 || classes !== numClasses || rows !== (length ?? rows))
    return [rule, `[${shape.join(", ")}]`];
  if (dtype !== "float32") return [rule, dtype];
  if (data.length !== rows * classes) return [rule, `${data.length} numbers`];
  for (let row = 0; row < rows; row++) {
    const own = Array.from(data.subarray(row * classes, (row + 1) * classes), Number);
    const sum = own.reduce((total, value) => total + (value >= 0 ? value : Number.NaN), 0);
    if (Math.abs(sum - 1) <= SUM_TOLERANCE) continue;
    const some = [...own.slice(0, 4), ...(classes > 4 ? ["…"] : [])].join(", ");
    return [
      "each row of softLabels must be probabilities, 0 or more with the sum 1",
      `[${some}] in row ${row}`,
    ];
  }
  return undefined;
}

/** The rows of the batch's images, `[B, K]`. */
export function softLabelsOf(
  { indices, size }: Batch,
  softLabels: HostTensor | undefined,
  numClasses: number,
): HostTensor {
  const highest = Math.max(...indices);
  const count = softLabels?.shape[0] ?? 0;
  if (!softLabels || highest >= count)
    throw new DmaeError(
      "argument",
      `robustFinetune: softLabels must have a row for each image of the data set, got ${count} for image ${highest}`,
    );
  const data = new Float32Array(size * numClasses);
  indices.forEach((index, row) => {
    const own = softLabels.data.subarray(index * numClasses, (index + 1) * numClasses);
    data.set(own as Float32Array, row * numClasses);
  });
  return { dtype: "float32", shape: [size, numClasses], data };
}
