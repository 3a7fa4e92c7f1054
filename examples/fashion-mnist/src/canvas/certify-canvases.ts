import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { compiledExecutor } from "@dmae/compile";
import { DmaeError, type HostTensors } from "@dmae/core";
import { fileError, lockFile, writeAtomically } from "@dmae/core/files";
import { progressLine } from "@dmae/reproduce/progress";
import { type Classifier, certifyMultiLabel, certifySegmentation } from "@dmae/smoothing-certify";
import { checksum } from "@dmae/train/tasks";
import * as tf from "@tensorflow/tfjs-core";
import { background, type Canvas, type Canvases, side } from "./canvases.ts";
import { applyDense } from "./dense-vit.ts";
import { sigma } from "./train-dense.ts";

/** Noisy copies in one call. */
const batchSize = 16;

/** What one canvas came to, shares of its pixels or of its ten labels. */
export interface CanvasResult {
  readonly index: number;
  /** Certified with the right class. */
  readonly segmentsRight: number;
  /** No certificate. */
  readonly segmentsAbstained: number;
  readonly labelsRight: number;
  readonly labelsAbstained: number;
  /** The l2 radius within which all of them hold. */
  readonly radius: number;
  /** Checksum of the model's parameters. */
  readonly model: string;
}

/** One answer of the model, compiled. */
async function prepare(params: HostTensors, answer: "segments" | "present") {
  const prepared = await compiledExecutor().prepareFunction({
    fn: ({ images, ...rest }) => {
      const found = applyDense(rest, images!);
      if (answer === "present") return { scores: found.present };
      // class ids: a twelfth of the numbers to move
      return { scores: tf.cast(tf.argMax(found.segments, 3), "int32") };
    },
    specs: { images: [batchSize, side, side, 1] },
    constants: params,
  });
  const classifier: Classifier = {
    input: "array",
    fixedBatchSize: batchSize,
    predict: async (images: Float32Array) => (await prepared({ images })).scores!,
  };
  return { classifier, dispose: () => prepared.dispose() };
}

const share = (predictions: ArrayLike<number>, keep: (value: number, i: number) => boolean) =>
  Array.from(predictions).filter(keep).length / predictions.length;

const columns = [
  ...(["index", "segmentsRight", "segmentsAbstained", "labelsRight"] as const),
  ...(["labelsAbstained", "radius", "model"] as const),
];

/** The text of a file; none for one that is not there yet. */
const textOf = (file: string): Promise<string> =>
  readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "";
    throw fileError("canvas", "read", file, cause);
  });

/**
 * The lines of a file of results; without a last one that was cut off, which is taken out of the file.
 *
 * @throws {DmaeError} "resume" for a file that does not hold the first canvases, one a line, "file" for one that cannot
 *   be read
 */
export async function resultsIn(file: string): Promise<readonly CanvasResult[]> {
  const text = await textOf(file);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1) || `${columns.join("\t")}\n`;
  if (whole !== text) await writeAtomically("canvas", file, whole);
  const [, ...lines] = whole.trimEnd().split("\n");
  return lines.map((line, position) => {
    const cells = line.split("\t");
    const result = Object.fromEntries(
      columns.map((name, i) => [name, name === "model" ? cells[i] : Number(cells[i])]),
    ) as unknown as CanvasResult;
    if (result.index === position) return result;
    throw new DmaeError(
      "resume",
      `canvas: line ${position + 2} of ${file} must be of canvas ${position}, got ${cells[0]}; move the file away`,
      { file },
    );
  });
}

/** What is certified, and with how many noisy copies. */
interface CanvasCertification {
  readonly count: number;
  readonly n: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/**
 * Certifies the class of every pixel, and which of the ten items are there, of the first `count` canvases, and adds a
 * line for each to a file; those that are in it are not certified again.
 *
 * @param n noisy copies; tau 0.75 gives the radius sigma 0.674
 * @throws DmaeError "resume" for a file of another model, or one that another process writes
 */
export async function certifyCanvases(
  params: HostTensors,
  test: Canvases,
  file: string,
  certification: CanvasCertification,
): Promise<readonly CanvasResult[]> {
  await mkdir(dirname(file), { recursive: true });
  const lock = await lockFile(`${file}.lock`, { caller: "canvas", guarded: file });
  try {
    const signal = AbortSignal.any([certification.signal, lock.signal]);
    return await certifyRest(params, test, file, { ...certification, signal });
  } finally {
    await lock.release();
  }
}

/** Certifies what is missing from a file that nobody else writes. */
async function certifyRest(
  params: HostTensors,
  test: Canvases,
  file: string,
  { count, n, seed, signal }: CanvasCertification,
): Promise<readonly CanvasResult[]> {
  const results = [...(await resultsIn(file))].slice(0, count);
  const model = checksum(params);
  const other = results.find((result) => result.model !== model);
  if (other)
    throw new DmaeError(
      "resume",
      `canvas: ${file} is of model ${other.model}, and this is ${model}; move the file away`,
    );
  const segment = await prepare(params, "segments");
  const tag = await prepare(params, "present");
  const line = progressLine("certify canvases", "canvases");
  for (let index = results.length; index < count; index++) {
    const canvas: Canvas = await test.canvas(index);
    const x = { data: canvas.image, shape: [side, side, 1] };
    const options = { sigma, n, alpha: 0.001, tau: 0.75, index, seed, signal };
    const segments = await certifySegmentation(segment.classifier, x, {
      ...options,
      numClasses: background + 1,
      output: "classes",
    });
    const labels = await certifyMultiLabel(tag.classifier, x, options);
    const result: CanvasResult = {
      index,
      segmentsRight: share(segments.predictions, (value, i) => value === canvas.segments[i]),
      segmentsAbstained: share(segments.predictions, (value) => value === -1),
      labelsRight: share(labels.predictions, (value, i) => value === canvas.present[i]),
      labelsAbstained: share(labels.predictions, (value) => value === -1),
      radius: Math.min(segments.radius, labels.radius),
      model,
    };
    signal.throwIfAborted(); // the file may be another process's by now
    await appendFile(file, `${columns.map((name) => result[name]).join("\t")}\n`);
    results.push(result);
    line.update(index + 1, count, "");
  }
  segment.dispose();
  tag.dispose();
  line.end(`${count} canvases`);
  return results;
}
