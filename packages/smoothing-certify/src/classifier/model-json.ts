import { DmaeError } from "@dmae/core";
import { checkOptions, parseStrictJson } from "@dmae/core/checks";
import { show } from "../checks.ts";
import { readRegularFile } from "../files.ts";
import { requireNode } from "../in-node.ts";
import { callModel, type TensorFlowModel } from "./classifier.ts";
import type { LoadedClassifier } from "./from-onnx.ts";
import { imageShapeOf, modelInput } from "./model-input.ts";
import { chooseName, readModelOutput } from "./model-output.ts";
import { checkPreprocessing, type Preprocessing, preprocessingNames } from "./preprocessing.ts";
import { sha256 } from "./sha256.ts";
import { loadTensorFlow, type TensorLike, tidied } from "./tensors.ts";

/** What is used of `model.json`, the file that TensorFlow.js saves models as. */
interface ModelJson {
  readonly format?: string;
  readonly modelTopology: { readonly node?: unknown };
  readonly weightsManifest?: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly WeightSpec[];
  }[];
}

/** What is used of the description of one weight. */
interface WeightSpec {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string };
}

/** What is used of a model that TensorFlow.js has loaded. */
interface LoadedModel extends TensorFlowModel {
  readonly name?: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  predict(batch: TensorLike): unknown;
  dispose(): void;
}

interface TensorInfo {
  readonly name: string;
  readonly dtype?: string;
  readonly shape?: readonly (number | null)[] | null;
}

/** What the loaders of TensorFlow.js ask for. */
type Loader = (source: { load(): Promise<object> }) => Promise<LoadedModel>;

/**
 * Makes a classifier of a TensorFlow.js model: a `model.json` with its weight files beside it, as
 * `tensorflowjs_converter` and `model.save` write them, whether a GraphModel or a LayersModel. Runs on
 * the backend that the program has chosen, else on WebAssembly, else in plain JavaScript.
 * Inputs may be float32, or int32, which then get bytes: values are rounded to 0 … 255.
 *
 * `@tensorflow/tfjs-core`, `-converter` (GraphModel) or `-layers` (LayersModel) and a backend are
 * optional dependencies; an error says which one to install.
 *
 * @param path path or URL of `model.json`
 * @param options how the model wants its images; see {@link Preprocessing}
 * @returns dispose of it when done
 * @throws {DmaeError} "file" for what is no such model, "unsupported" where a package is missing, and in browsers
 * @example
 * const classifier = await fromModelJson("web_model/model.json", { scale: 2, mean: 1 }); // takes [-1, 1]
 * const { radius } = await certify(classifier, { data: image, shape: [28, 28, 1] }, { sigma: 0.25 });
 */
export async function fromModelJson(
  path: string | URL,
  options: Preprocessing = {},
): Promise<LoadedClassifier> {
  requireNode(CALLER, "files");
  checkOptions(CALLER, options, preprocessingNames);
  const file = await pathOf(path);
  const json = await readJson(file);
  const isGraph = json.format === "graph-model" || Array.isArray(json.modelTopology.node);
  const artifacts = {
    ...json,
    weightSpecs: json.weightsManifest?.flatMap(({ weights }) => weights) ?? [],
    weightData: await readWeights(file, json),
  };
  await needBackend();
  const load = isGraph ? await graphLoader() : await layersLoader();
  const { weightData, ...described } = artifacts;
  const hash = await sha256(JSON.stringify(described), new Uint8Array(weightData));
  try {
    const model = await load({ load: async () => artifacts });
    return classifierOf(model, options, hash, endsInSigmoid(json));
  } catch (cause) {
    if (DmaeError.isInstance(cause)) throw cause;
    throw unreadable(file, cause);
  }
}

const CALLER = "fromModelJson";

/** The model behind its preprocessing. */
function classifierOf(
  model: LoadedModel,
  options: Preprocessing,
  hash: string,
  isSigmoid: boolean,
): LoadedClassifier {
  const names = model.outputs.map(({ name }) => name.replace(/:0$/, ""));
  const output = chooseName(CALLER, "output", names, options.output);
  const expected = model.inputs[0];
  const isByte = expected?.dtype === "int32";
  const preprocessing = checkPreprocessing(CALLER, options, isByte);
  const write = modelInput(CALLER, expected?.shape ?? undefined, preprocessing, "NHWC");
  const columns = model.outputs[names.indexOf(output)]?.shape?.at(-1) ?? 1;
  const binary = options.binary ?? (isSigmoid && columns === 1 ? "probability" : undefined);
  const rows = expected?.shape?.[0];
  let isDisposed = false;
  return {
    input: "array",
    ...(typeof rows === "number" && rows > 0 && { fixedBatchSize: rows }),
    ...imageShapeOf(expected?.shape ?? undefined, preprocessing, "NHWC"),
    ...(binary && { numClasses: 2 }),
    preprocessing: [preprocessing],
    fingerprint: JSON.stringify(["model.json", hash, output, preprocessing, binary]),
    ...(hash !== "" && { sha256: hash }),
    name: "model.json",
    async predict(batch, shape) {
      const tf = loadTensorFlow(CALLER);
      const { data, dims } = write(batch, shape, (length) => new Float32Array(length));
      const values = isByte ? Int32Array.from(Uint8ClampedArray.from(data)) : data;
      const tensor = tf.makeTensor(values, [...dims], isByte ? "int32" : "float32");
      try {
        const returned = await tidied(tf, () => callModel(model, tensor));
        const answer = pickOutput(returned, names.indexOf(output));
        return await readModelOutput(CALLER, answer, shape[0]!, binary);
      } finally {
        tensor.dispose();
      }
    },
    async dispose() {
      if (!isDisposed) model.dispose();
      isDisposed = true;
    },
  };
}

/** One of the tensors that a model returned; the others are freed. */
function pickOutput(returned: unknown, index: number): unknown {
  if (!Array.isArray(returned)) return returned;
  for (const [i, tensor] of returned.entries()) if (i !== index) (tensor as TensorLike).dispose();
  return returned[index];
}

/** Whether the last layer, or the operation that nothing else takes in, is a sigmoid. */
function endsInSigmoid({ modelTopology }: ModelJson): boolean {
  const { node, model_config, config = model_config?.config } = modelTopology as Topology;
  if (!node || !Array.isArray(node)) {
    const { layers = config as readonly Layer[] } = (config ?? []) as { layers?: readonly Layer[] };
    return Array.isArray(layers) && layers.at(-1)?.config?.activation === "sigmoid";
  }
  const used = new Set(node.flatMap(({ input = [] }) => input.map((name) => name.split(":")[0])));
  let last = node.find(({ name, op }) => !used.has(name) && op !== "NoOp");
  for (let steps = 0; last?.op === "Identity" && steps < 16; steps++) {
    const from = last.input?.[0]?.split(":")[0];
    last = node.find(({ name }) => name === from);
  }
  return last?.op === "Sigmoid";
}

/** Keras 3 writes `batch_shape` where Keras 2, which TensorFlow.js follows, writes `batch_input_shape`. */
function isKeras3(topology: object): boolean {
  const { model_config, config = model_config?.config } = topology as Topology;
  const { layers = config } = (config ?? {}) as { layers?: unknown };
  return Array.isArray(layers) && layers.some((layer: Layer | null) => layer?.config?.batch_shape);
}

/** The parts of a topology that say what comes last. */
interface Topology {
  readonly node?: { name: string; op: string; input?: readonly string[] }[];
  readonly model_config?: { readonly config?: unknown };
  readonly config?: unknown;
}

interface Layer {
  readonly config?: { readonly activation?: unknown; readonly batch_shape?: unknown };
}

async function pathOf(path: string | URL): Promise<string> {
  const { fileURLToPath } = await import("node:url");
  if (path instanceof URL || (typeof path === "string" && /^file:/i.test(path)))
    return fileURLToPath(path);
  if (typeof path === "string" && path !== "") return path;
  throw new DmaeError(
    "argument",
    `${CALLER}: path must be that of a model.json, or its URL, got ${show(path)}`,
  );
}

/** Containers inside each other in a model.json: nested models and their layers take a few dozen. */
const maxDepth = 128;
/** Largest model.json: graphs of large models take some megabytes. */
const maxJson = 2 ** 28;

async function readJson(file: string): Promise<ModelJson> {
  let json: ModelJson | undefined;
  try {
    const bytes = await readRegularFile(file, maxJson);
    json = parseStrictJson(new TextDecoder().decode(bytes), maxDepth) as ModelJson;
  } catch (cause) {
    throw unreadable(file, cause);
  }
  if (typeof json?.modelTopology !== "object" || json.modelTopology === null)
    throw unreadable(
      file,
      new Error("it has no modelTopology; a model.json of TensorFlow.js is expected"),
    );
  if (isKeras3(json.modelTopology))
    throw unreadable(
      file,
      new Error(
        "it is a Keras 3 model (its layers have a batch_shape), which TensorFlow.js cannot read; save it with tf_keras, or export a SavedModel and convert that with tensorflowjs_converter",
      ),
    );
  const { weightsManifest = [] } = json;
  const isGroup = (group: Partial<NonNullable<ModelJson["weightsManifest"]>[number]> | null) =>
    Array.isArray(group?.paths) && Array.isArray(group.weights) && group.weights.every(isWeight);
  if (Array.isArray(weightsManifest) && weightsManifest.every(isGroup)) return json;
  throw unreadable(file, new Error("its weightsManifest must list paths and weights"));
}

function isWeight(spec: Partial<WeightSpec> | null): boolean {
  const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0;
  return Array.isArray(spec?.shape) && spec.shape.every(isSize) && typeof spec.dtype === "string";
}

/** The bytes of all weight files, one after the other; as many as the weights take. */
async function readWeights(file: string, { weightsManifest = [] }: ModelJson) {
  const { stat } = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const names = weightsManifest.flatMap(({ paths }) => paths);
  try {
    checkPaths(names);
    const paths = names.map((name) => join(dirname(file), name));
    const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    checkTotal(
      total,
      weightsManifest.flatMap(({ weights }) => weights),
    );
    const bytes = new Uint8Array(total);
    let at = 0;
    for (const [i, path] of paths.entries()) {
      const part = await readRegularFile(path, sizes[i]!);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes.buffer;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Weights lie beside model.json or below it, each file once. */
function checkPaths(names: readonly unknown[]): void {
  const isInside = (name: unknown) =>
    typeof name === "string" &&
    name !== "" &&
    !/(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[a-z]+:|\0/i.test(name);
  const outside = names.find((name) => !isInside(name));
  if (outside !== undefined)
    throw new Error(
      `weight files must lie in the folder of model.json, got ${JSON.stringify(outside)}`,
    );
  if (new Set(names).size !== names.length) throw new Error("it names a weight file twice");
}

const bytesOf: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  complex64: 8,
  uint8: 1,
  uint16: 2,
  float16: 2,
};

/** Text has no fixed length; all else must fill the files exactly. */
function checkTotal(total: number, specs: readonly WeightSpec[]): void {
  const sizes = specs.map(({ shape, dtype, quantization }) =>
    shape.reduce(
      (product, size) => product * size,
      bytesOf[quantization?.dtype ?? dtype] ?? Number.NaN,
    ),
  );
  const expected = sizes.reduce((sum, size) => sum + size, 0);
  if (Number.isNaN(expected) || expected === total) return;
  throw new Error(`its weights take ${expected} bytes, but their files have ${total}`);
}

async function graphLoader(): Promise<Loader> {
  try {
    return member(await import("@tensorflow/tfjs-converter"), "loadGraphModel") as Loader;
  } catch (cause) {
    throw missing("a GraphModel is read by", "@tensorflow/tfjs-converter", cause);
  }
}

async function layersLoader(): Promise<Loader> {
  try {
    return member(await import("@tensorflow/tfjs-layers"), "loadLayersModel") as Loader;
  } catch (cause) {
    throw missing("a LayersModel is read by", "@tensorflow/tfjs-layers", cause);
  }
}

/** Keeps the backend that is there, or registers the fastest that is installed. */
async function needBackend(): Promise<void> {
  let tf: { getBackend(): string | undefined; setBackend(name: string): Promise<boolean> };
  try {
    tf = whole(await import("@tensorflow/tfjs-core")) as unknown as typeof tf;
  } catch (cause) {
    throw missing("a model.json runs on", "@tensorflow/tfjs-core", cause);
  }
  if (tf.getBackend()) return;
  try {
    await import("@tensorflow/tfjs-backend-wasm");
    if (await tf.setBackend("wasm")) return;
  } catch {
    // not installed, or not usable here: plain JavaScript is next
  }
  try {
    await import("@tensorflow/tfjs-backend-cpu");
    if (await tf.setBackend("cpu")) return;
  } catch {
    // not installed
  }
  throw new DmaeError(
    "unsupported",
    "fromModelJson: a backend of TensorFlow.js is needed; install one with npm install @tensorflow/tfjs-backend-wasm",
  );
}

/** A module's exports, whether it is an ES module or CommonJS. */
const whole = (module: object) => ({ ...(module as { default?: object }).default, ...module });
const member = (module: object, name: string) => (whole(module) as Record<string, unknown>)[name];

// The imports above are literal and in a try, so that bundlers take them where they are and pass over them where not.
function missing(what: string, name: string, cause: unknown): DmaeError {
  return new DmaeError(
    "unsupported",
    `fromModelJson: ${what} ${name}; install it with npm install ${name}`,
    {},
    { cause },
  );
}

function unreadable(file: string, cause: unknown): DmaeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DmaeError(
    "file",
    `fromModelJson: cannot load ${file}: ${reason}`,
    { file },
    { cause },
  );
}
