import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkInteger, show } from "../checks.ts";
import {
  type Classifier,
  type ClassifierFunction,
  identityOf,
  prepareClassifier,
  traitsOf,
} from "./classifier.ts";
import type { ClassifierTraits } from "./classifier-traits.ts";
import { checkFinite } from "./finite.ts";
import { type Outputs, readNumbers } from "./outputs.ts";
import { isTensor, loadTensorFlow, type TensorLike, tidied } from "./tensors.ts";
import { inTurn } from "./turns.ts";

/** A classifier made of others; it takes arrays. */
export type CombinedClassifier = ClassifierTraits & { predict: ClassifierFunction };

/**
 * Denoise, then classify (Salman et al. 2020, "Denoised smoothing"): the denoiser gets the noisy batch
 * and returns a batch of the same shape. Only the composition is smoothed, so the guarantee is for it.
 *
 * @param denoiser a function of the same form as a classifier; it takes arrays, or tensors with
 *   `input: "tensor"`; what it returns must be finite
 * @param classifier logits, or class ids with `numClasses` where the composition is certified
 * @example
 * const { radius } = await certify(denoised(denoise, classify), image, { sigma: 0.5 });
 */
export function denoised(
  denoiser: ClassifierFunction,
  classifier: Classifier,
  options: { readonly input?: "tensor" | "array" } = {},
): CombinedClassifier {
  checkOptions("denoised", options, { input: ["tensor", "array"] });
  const { input = "array" } = options;
  if (typeof denoiser !== "function")
    throw new DmaeError(
      "argument",
      `denoised: denoiser must be a function of (batch, shape), got ${show(denoiser)}`,
    );
  const prepared = prepareClassifier("denoised", classifier, {}, input === "tensor", true);
  prepared.catch(() => {}); // shown by the first call
  const traits = traitsOf(classifier);
  return {
    ...pickTraits([traits]),
    fingerprint: JSON.stringify(["denoised", identityOf(traitsOf(denoiser)), identityOf(traits)]),
    input,
    async predict(batch: Float32Array | TensorLike, shape: number[]) {
      const tf = isTensor(batch) ? loadTensorFlow("denoised") : undefined;
      const denoise = () => denoiser(batch, shape);
      const clean = await inTurn(denoiser, async () =>
        readDenoised(await (tf ? tidied(tf, denoise) : denoise()), shape),
      );
      const { classes, logits } = await (await prepared).classify(clean, shape);
      return logits ?? classes;
    },
  };
}

async function readDenoised(returned: unknown, shape: readonly number[]): Promise<Float32Array> {
  const { values } = await readNumbers(returned);
  const size = shape.reduce((product, length) => product * length, 1);
  if (values.length !== size)
    throw new DmaeError(
      "classifier",
      `denoised: the denoiser must return a batch of its input's size, ${size} numbers, got ${values.length}`,
    );
  const clean = new Float32Array(values); // a copy: the denoiser may use its memory again
  checkFinite("the denoiser", clean, size / shape[0]!);
  return clean;
}

/**
 * Rows that an ensemble with a consensus takes at once: up to eight batches of its members within 512 rows, at least
 * two. The more rows there are to choose from, the fuller are the batches that the other members get.
 */
const gatheredRows = (size: number): number =>
  size * Math.max(2, Math.min(8, Math.floor(512 / size)));

/** Options of {@link ensemble}. */
export interface EnsembleOptions {
  /** Number of classes, for members that return class ids. */
  readonly numClasses?: number | undefined;
  /**
   * Asks the other members only about the rows on which the first `consensus` members disagree (K-consensus, Horváth
   * et al. 2022, section 5.2); 1 to the number of members, default all. The result is still a function of the row
   * alone, and the certificate is for that function. With members of a fixed batch size the ensemble takes several of
   * their batches at once, and fills batches for the others with the rows to ask about.
   */
  readonly consensus?: number | undefined;
}

/**
 * Several classifiers as one. `"logits"` adds their logits (Horváth et al. 2022: the variance over the
 * noise falls, radii grow); `"vote"` lets each vote for a class, ties going to the lower class.
 *
 * @param members logits of the same classes; with `"vote"` class ids will do, with `numClasses`
 * @example
 * const { radius } = await certify(ensemble([a, b, c], "logits"), image, { sigma: 0.25 });
 */
export function ensemble(
  members: readonly Classifier[],
  how: "logits" | "vote" = "logits",
  options: EnsembleOptions = {},
): CombinedClassifier {
  checkOptions("ensemble", options, { numClasses: true, consensus: true });
  const { numClasses } = options;
  if (!Array.isArray(members) || members.length === 0)
    throw new DmaeError("argument", "ensemble: members must be a non-empty array of classifiers");
  const { consensus = members.length } = options;
  if (how !== "logits" && how !== "vote")
    throw new DmaeError(
      "argument",
      `ensemble: how, the second argument, must be "logits" or "vote", got ${show(how)}${typeof how === "object" ? '; options are the third, ensemble(members, "logits", options)' : ""}`,
    );
  if (numClasses !== undefined) checkInteger("ensemble", "numClasses", numClasses, 2);
  checkInteger("ensemble", "consensus", consensus, 1);
  if (consensus > members.length)
    throw new DmaeError(
      "argument",
      `ensemble: consensus must not exceed the ${members.length} members, got ${consensus}`,
    );
  const prepared = Promise.all(
    members.map((member) => prepareClassifier("ensemble", member, { numClasses }, false)),
  );
  prepared.catch(() => {}); // shown by the first call
  const traits = pickTraits(members.map(traitsOf));
  const { fixedBatchSize: size } = traits;
  const identities = members.map(traitsOf).map(identityOf);
  const isEarly = consensus < members.length;
  return {
    ...traits,
    ...(isEarly && size && { fixedBatchSize: gatheredRows(size) }),
    fingerprint: JSON.stringify([
      "ensemble",
      how,
      ...(isEarly ? [{ consensus }] : []),
      ...identities,
    ]),
    input: "array",
    ...(how === "vote" && { votesOnly: true }),
    ...(numClasses && { numClasses }),
    async predict(batch: Float32Array, shape: number[]) {
      const all = await prepared;
      const ask = (asked: readonly Member[], rows: Float32Array, count: number) =>
        sumOf(asked, how, rows, { shape: [count, ...shape.slice(1)], size });
      const first = await ask(all.slice(0, consensus), batch, shape[0]!);
      const { sums, width, disagreeing } = first;
      if (!isEarly || disagreeing.length === 0) return sums;
      const picked = pickRows(batch, disagreeing, batch.length / shape[0]!);
      const rest = await ask(all.slice(consensus), picked, disagreeing.length);
      requireWidth(width, rest.width);
      disagreeing.forEach((row, i) => {
        for (let c = 0; c < width; c++) sums[row * width + c]! += rest.sums[i * width + c]!;
      });
      return sums;
    },
  };
}

type Member = Awaited<ReturnType<typeof prepareClassifier>>;

/** Rows of a batch, and how many a member takes at once; any number where `size` is undefined. */
interface Rows {
  readonly shape: readonly number[];
  readonly size: number | undefined;
}

/** The members' logits or votes, added up, and the rows on whose class they disagree. */
async function sumOf(
  members: readonly Member[],
  how: "logits" | "vote",
  batch: Float32Array,
  rows: Rows,
) {
  let sums: Float64Array | undefined;
  let width = 0;
  let agreed: ArrayLike<number> = [];
  const disagreeing = new Set<number>();
  for (const member of members) {
    const { classes, logits, numClasses: found } = await answersOf(member, batch, rows);
    if (sums) requireWidth(width, found);
    else agreed = classes.slice();
    sums ??= new Float64Array(rows.shape[0]! * found);
    width ||= found;
    if (how === "logits" && !logits)
      throw new DmaeError("classifier", "ensemble: members must return logits, or use vote");
    if (how === "logits") for (let i = 0; i < sums.length; i++) sums[i]! += logits![i]!;
    else for (const [row, c] of classes.entries()) sums[row * width + c]!++;
    for (const [row, c] of classes.entries()) if (c !== agreed[row]) disagreeing.add(row);
  }
  return { sums: sums!, width, disagreeing: [...disagreeing].sort((a, b) => a - b) };
}

/** A member's answers to any number of rows; a last batch of fewer than `size` is filled up with its last row. */
async function answersOf(
  member: Member,
  batch: Float32Array,
  { shape: [count = 0, ...rest], size = count }: Rows,
): Promise<Outputs> {
  if (count === size) return member.classify(batch, [size, ...rest]);
  const length = batch.length / count;
  const classes = new Int32Array(count);
  let numClasses = 0;
  let logits: Float64Array | undefined;
  for (let start = 0; start < count; start += size) {
    const rows = Math.min(size, count - start);
    const asked = Array.from({ length: size }, (_, i) => start + Math.min(i, rows - 1));
    const answer = await member.classify(pickRows(batch, asked, length), [size, ...rest]);
    if (start > 0) requireWidth(numClasses, answer.numClasses);
    numClasses = answer.numClasses;
    classes.set(answer.classes.subarray(0, rows), start);
    if (!answer.logits) continue;
    logits ??= new Float64Array(count * numClasses);
    for (let i = 0; i < rows * numClasses; i++) logits[start * numClasses + i] = answer.logits[i]!;
  }
  return { classes, numClasses, ...(logits && { logits }) };
}

function requireWidth(width: number, found: number): void {
  if (found !== width)
    throw new DmaeError(
      "classifier",
      `ensemble: members must have the same classes, got ${width} and ${found}`,
    );
}

function pickRows(batch: Float32Array, rows: readonly number[], length: number): Float32Array {
  const picked = new Float32Array(rows.length * length);
  rows.forEach((row, i) => {
    picked.set(batch.subarray(row * length, (row + 1) * length), i * length);
  });
  return picked;
}

/** What the parts say about themselves holds for the whole; of shapes and classes, what those that know them agree on. */
function pickTraits(parts: readonly ClassifierTraits[]): ClassifierTraits {
  const rowMixers = parts.flatMap((part) => part.rowMixers ?? []);
  const randomParts = parts.flatMap((part) => part.randomParts ?? []);
  const preprocessing = parts.flatMap((part) => part.preprocessing ?? []);
  const shapes = parts.flatMap(({ imageShape }) => (imageShape ? [imageShape] : []));
  const classes = new Set(parts.flatMap((part) => part.numClasses ?? []));
  const sizes = new Set(parts.flatMap((part) => part.fixedBatchSize ?? []));
  if (sizes.size > 1)
    throw new DmaeError(
      "argument",
      `ensemble: members must take batches of one size, got ${[...sizes].join(" and ")}`,
    );
  return {
    ...(rowMixers.length > 0 && { rowMixers }),
    ...(randomParts.length > 0 && { randomParts }),
    ...(parts.some(({ votesOnly }) => votesOnly) && { votesOnly: true }),
    ...(preprocessing.length > 0 && { preprocessing }),
    ...(new Set(shapes.map(String)).size === 1 && { imageShape: shapes[0]! }),
    ...(classes.size === 1 && { numClasses: [...classes][0]! }),
    ...(sizes.size === 1 && { fixedBatchSize: [...sizes][0]! }),
  };
}

/** What is used of a function compiled by `@dmae/compile`. */
export type CompiledLike = (inputs: never) => Promise<unknown>;

/**
 * A function compiled by `@dmae/compile` as a classifier.
 *
 * @param compiled takes one tensor `[batchSize, …]` and gives logits, as its only output or in a record
 * @param batchSize the batch that it was compiled for
 * @param options `input`, default `x`, and `output`, default the only one: names of the input and of the logits;
 *   `fingerprint`: what tells it from others in logs, e.g. a hash of its parameters and the precision
 * @example
 * const compiled = await compile(({ x }) => vit.logits(params, x), { x: { shape: [32, 28, 28, 1] } });
 * const { radius } = await certify(fromCompiled(compiled, 32), image, { sigma: 0.25, shape: [28, 28, 1] });
 */
export function fromCompiled(
  compiled: CompiledLike,
  batchSize: number,
  options: {
    readonly input?: string;
    readonly output?: string;
    readonly fingerprint?: string;
  } = {},
): CombinedClassifier {
  checkOptions("fromCompiled", options, { input: true, output: true, fingerprint: true });
  const { input = "x", output, fingerprint } = options;
  checkInteger("fromCompiled", "batchSize", batchSize);
  return {
    input: "array",
    fixedBatchSize: batchSize,
    fingerprint: JSON.stringify(["compiled", fingerprint, input, output]),
    async predict(batch: Float32Array, shape: number[]) {
      const inputs = { [input]: { dtype: "float32", shape, data: batch } };
      const result = (await compiled(inputs as never)) as Record<string, unknown>;
      if (output === undefined || isTensor(result)) return result;
      if (output in result) return result[output];
      throw new DmaeError(
        "argument",
        `fromCompiled: output must be one of ${Object.keys(result).join(", ")}, got ${show(output)}`,
      );
    },
  };
}
