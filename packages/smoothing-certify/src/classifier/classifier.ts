import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { checkOneOf, show } from "../checks.ts";
import type { ClassifierTraits } from "./classifier-traits.ts";
import type { OnnxSession } from "./onnx-runtime.ts";
import { type Outputs, readOutputs } from "./outputs.ts";
import { isTensor, loadTensorFlow, type TensorFlow, type TensorLike, tidied } from "./tensors.ts";
import { inTurn } from "./turns.ts";

/**
 * A classifier as a function. It gets a batch the way the input came: a TensorFlow.js tensor
 * `[n, …shape]` for tensors, else a `Float32Array` and its shape `[n, …shape]`; valid until the
 * function's result is there. It returns logits `[n, classes]` or class ids `[n]`. Runs that share a
 * classifier call it one after the other, and read each answer before the next call.
 */
export type ClassifierFunction = (
  // biome-ignore lint/suspicious/noExplicitAny: a tensor or a Float32Array, as the caller's input is
  batch: any,
  shape: number[],
) => unknown;

/**
 * Anything that classifies a batch: a function, or an object with `predict` (TensorFlow.js models
 * among them), `call` or `run` of that form, or an ONNX Runtime session (see `fromOnnx` for its options).
 */
export type Classifier =
  | ClassifierFunction
  | (ClassifierTraits & { predict: ClassifierFunction })
  | TensorFlowModel
  | (ClassifierTraits & { run: ClassifierFunction })
  | OnnxSession;

/** What a `LayersModel` or `GraphModel` of TensorFlow.js looks like from here. */
export interface TensorFlowModel {
  /** Logits or classes of a batch. */
  // biome-ignore lint/suspicious/noExplicitAny: the tensors of whatever copy of TensorFlow.js is installed
  predict(batch: any, options?: any): any;
  /** What tells a `LayersModel`. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  predictOnBatch?(batch: any): any;
  /** What tells a `GraphModel`. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  executeAsync?(batch: any): Promise<any>;
}

/** A classifier behind one interface. */
export interface PreparedClassifier {
  readonly traits: ClassifierTraits;
  /** Classes of `shape[0]` rows; throws a `DmaeError` ("classifier") for anything that is no answer. */
  classify(batch: Float32Array, shape: readonly number[]): Promise<Outputs>;
}

/** How a classifier is called. */
export interface ClassifierOptions {
  /** What the classifier is given; default: what the input was, tensors for TensorFlow.js models. */
  readonly input?: "tensor" | "array" | undefined;
  /** Number of classes; needed where class ids are returned, checked where logits are. */
  readonly numClasses?: number | undefined;
}

/** The names of {@link ClassifierOptions}. */
export const classifierNames = {
  input: true,
  numClasses: true,
} satisfies OptionNames<ClassifierOptions>;

/** Most classes there may be: votes are counted in an array with a place for each. */
const MOST_CLASSES = 10_000_000;

/**
 * Puts any classifier behind one interface.
 *
 * @param tensor whether the caller's input is a tensor
 * @param part whether it is part of another one, of which the number of classes may be known
 */
export async function prepareClassifier(
  caller: string,
  classifier: Classifier,
  { input, numClasses }: ClassifierOptions,
  tensor: boolean,
  part = false,
): Promise<PreparedClassifier> {
  const { traits, call } = await prepareCalls(caller, classifier, input, tensor);
  const declared = numClasses ?? traits.numClasses ?? 0;
  if (!(declared <= MOST_CLASSES))
    throw new DmaeError(
      "argument",
      `${caller}: numClasses must be a number of at most ${MOST_CLASSES}, got ${show(declared)}`,
    );
  return {
    traits,
    async classify(batch, shape) {
      const outputs = await call(batch, shape, (returned) =>
        readOutputs(returned, shape[0]!, declared),
      );
      if (outputs.numClasses > 0 || part) return outputs;
      throw new DmaeError(
        "argument",
        `${caller}: numClasses is needed with a classifier that returns class ids`,
      );
    },
  };
}

/** A model that is called with a batch; `read` takes its answer in before the next call. */
export interface PreparedCalls {
  readonly traits: ClassifierTraits;
  call<T>(
    batch: Float32Array,
    shape: readonly number[],
    read: (returned: unknown) => Promise<T>,
  ): Promise<T>;
}

/** Puts any model behind one way to call it; what it returns is for the caller to read. */
export async function prepareCalls(
  caller: string,
  classifier: Classifier,
  input: ClassifierOptions["input"],
  tensor: boolean,
): Promise<PreparedCalls> {
  if (input !== undefined) checkOneOf(caller, "input", input, ["tensor", "array"]);
  if (isOnnxSession(classifier)) {
    const { fromOnnx } = await import("./from-onnx.ts");
    return prepareCalls(caller, await fromOnnx(classifier), input, tensor);
  }
  const traits = traitsOf(classifier);
  const fn = callable(caller, classifier);
  const kind = input ?? traits.input ?? (tensor ? "tensor" : "array");
  const tf = kind === "tensor" ? loadTensorFlow(caller) : undefined;
  return {
    traits,
    call: (batch, shape, read) =>
      inTurn(classifier, async () =>
        read(
          tf
            ? await callWithTensor(tf, fn, batch, [...shape])
            : await callClassifier(() => fn(batch, [...shape])),
        ),
      ),
  };
}

/** What a classifier says of itself: its fingerprint, else its name. */
export const identityOf = ({ fingerprint, name }: ClassifierTraits): string =>
  fingerprint ?? name ?? "";

/** A TensorFlow.js model has fields of these names (`input`, `name`) that mean something else. */
export function traitsOf(classifier: Classifier): ClassifierTraits {
  if (isTfModel(classifier)) {
    const { name, inputs, fingerprint } = classifier as {
      name?: unknown;
      inputs?: TensorInfo[];
      fingerprint?: unknown;
    };
    const [rows, ...image] = inputs?.[0]?.shape ?? [];
    const isKnown = image.length > 0 && image.every((side) => side !== null && side > 0);
    return {
      input: "tensor",
      ...(typeof name === "string" && { name }),
      ...(typeof fingerprint === "string" && { fingerprint }),
      ...(typeof rows === "number" && rows > 0 && { fixedBatchSize: rows }),
      ...(isKnown && { imageShape: image as number[] }),
    };
  }
  if (typeof classifier === "function") return functionTraits(classifier);
  return (classifier ?? {}) as ClassifierTraits;
}

function functionTraits(fn: ClassifierFunction): ClassifierTraits {
  const { input, fixedBatchSize, numClasses, rowMixers, randomParts, fingerprint } =
    fn as ClassifierTraits;
  return {
    ...(input && { input }),
    ...(fixedBatchSize && { fixedBatchSize }),
    ...(numClasses && { numClasses }),
    ...(rowMixers && { rowMixers }),
    ...(randomParts && { randomParts }),
    ...(fn.name && { name: fn.name }),
    ...(fingerprint && { fingerprint }),
  };
}

function callable(caller: string, classifier: Classifier): ClassifierFunction {
  if (typeof classifier === "function") return classifier;
  if (typeof classifier === "object" && classifier !== null) {
    const object = classifier as unknown as Partial<Record<string, ClassifierFunction>>;
    if (isTfModel(classifier)) return (batch: TensorLike) => callModel(classifier, batch);
    for (const name of ["predict", "call", "run"])
      if (typeof object[name] === "function") return (batch, shape) => object[name]!(batch, shape);
  }
  throw new DmaeError(
    "argument",
    `${caller}: a classifier is a function or an object with predict, got ${show(classifier)}`,
  );
}

/** Shape of an input of a model; -1 or null where it is open. */
interface TensorInfo {
  readonly shape?: readonly (number | null)[];
}

interface TfModel {
  predict(batch: TensorLike): unknown;
  execute?(batch: TensorLike): unknown;
  executeAsync?(batch: TensorLike): Promise<unknown>;
}

/** An ONNX Runtime session is a classifier as it is. */
function isOnnxSession(value: unknown): value is OnnxSession {
  const session = value as Partial<OnnxSession> | null;
  return typeof session?.run === "function" && Array.isArray(session.inputNames);
}

/** LayersModel (`layers`, `predictOnBatch`) or GraphModel (`executeAsync`). */
function isTfModel(value: unknown): value is TfModel {
  if (typeof value !== "object" || value === null) return false;
  const model = value as Record<string, unknown>;
  const has = (name: string) => typeof model[name] === "function";
  return has("predict") && (has("predictOnBatch") || has("executeAsync"));
}

/** Calls a TensorFlow.js model by `predict`, or `executeAsync` for graphs with control flow, which `predict` refuses. */
export function callModel(model: TfModel, batch: TensorLike): unknown {
  try {
    return model.predict(batch);
  } catch (error) {
    const dynamic = error instanceof Error && error.message.includes("executeAsync");
    if (!dynamic || !model.executeAsync) throw error;
    return model.executeAsync(batch);
  }
}

async function callWithTensor(
  tf: TensorFlow,
  fn: ClassifierFunction,
  batch: Float32Array,
  shape: number[],
): Promise<unknown> {
  const tensor = tf.makeTensor(batch, shape, "float32");
  try {
    const returned = await callClassifier(() => tidied(tf, () => fn(tensor, shape)));
    if (returned !== tensor) return returned;
    throw new DmaeError("classifier", "the classifier returned its own input");
  } finally {
    if (!(tensor as { isDisposed?: boolean }).isDisposed) tensor.dispose();
  }
}

/** Turns whatever a classifier throws into a typed error that keeps the cause. */
async function callClassifier(call: () => unknown): Promise<unknown> {
  try {
    const returned = await call();
    if (isRecordOfOne(returned)) return Object.values(returned)[0];
    return returned;
  } catch (cause) {
    if (DmaeError.isInstance(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("classifier", `the classifier threw: ${message}`, {}, { cause });
  }
}

/** ONNX Runtime and compiled functions answer with a record of named outputs. */
function isRecordOfOne(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (isTensor(value) || ArrayBuffer.isView(value) || "data" in value) return false;
  const values = Object.values(value);
  return values.length === 1 && typeof values[0] === "object";
}
