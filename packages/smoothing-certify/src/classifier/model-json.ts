import { DmaeError, parseStrictJson } from "@dmae/core";
import { readRegularFile } from "../files.ts";
import { requireNode } from "../in-node.ts";
import type { TensorFlowModel } from "./classifier.ts";
import { sha256 } from "./sha256.ts";

/** A TensorFlow.js model that was read from files. */
export interface LoadedTensorFlowModel extends TensorFlowModel {
  /** SHA-256 of its files. */
  readonly fingerprint: string;
  /** Frees its weights. */
  dispose(): void;
}

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

/** What the loaders of TensorFlow.js ask for. */
type Loader = (source: {
  load(): Promise<object>;
}) => Promise<Omit<LoadedTensorFlowModel, "fingerprint">>;

/**
 * Makes a classifier of a TensorFlow.js model: a `model.json` with its weight files beside it, as
 * `tensorflowjs_converter` and `model.save` write them, whether a GraphModel or a LayersModel. Runs on
 * the backend that the program has chosen, else on WebAssembly, else in plain JavaScript.
 *
 * `@tensorflow/tfjs-core`, `-converter` (GraphModel) or `-layers` (LayersModel) and a backend are
 * optional dependencies; an error says which one to install.
 *
 * @param path path or URL of `model.json`
 * @returns dispose of it when done
 * @throws {DmaeError} "file" for what is no such model, "unsupported" where a package is missing, and in browsers
 * @example
 * const model = await fromModelJson("web_model/model.json");
 * const { radius } = await certify(model, { data: image, shape: [28, 28, 1] }, { sigma: 0.25 });
 */
export async function fromModelJson(path: string | URL): Promise<LoadedTensorFlowModel> {
  requireNode("fromModelJson", "files");
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
  const fingerprint = await sha256(JSON.stringify(described), new Uint8Array(weightData));
  try {
    return Object.assign(await load({ load: async () => artifacts }), { fingerprint });
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

async function pathOf(path: string | URL): Promise<string> {
  const { fileURLToPath } = await import("node:url");
  return path instanceof URL ? fileURLToPath(path) : path;
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
  const name = "@tensorflow/tfjs-converter";
  const module = await needed("a GraphModel is read by", name, () => import(name));
  return module.loadGraphModel as Loader;
}

async function layersLoader(): Promise<Loader> {
  const name = "@tensorflow/tfjs-layers";
  const module = await needed("a LayersModel is read by", name, () => import(name));
  return module.loadLayersModel as Loader;
}

interface Core {
  getBackend(): string | undefined;
  setBackend(name: string): Promise<boolean>;
}

/** Keeps the backend that is there, or registers the fastest that is installed. */
async function needBackend(): Promise<void> {
  const name = "@tensorflow/tfjs-core";
  const tf = (await needed("a model.json runs on", name, () => import(name))) as unknown as Core;
  if (tf.getBackend()) return;
  for (const backend of ["wasm", "cpu"]) {
    try {
      await import(`@tensorflow/tfjs-backend-${backend}`);
      if (await tf.setBackend(backend)) return;
    } catch {
      // not installed, or not usable here: the next one
    }
  }
  throw new DmaeError(
    "unsupported",
    "fromModelJson: a backend of TensorFlow.js is needed; install one with npm install @tensorflow/tfjs-backend-wasm",
  );
}

async function needed(
  what: string,
  name: string,
  load: () => Promise<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  try {
    const module = await load();
    return { ...(module.default as object), ...module };
  } catch (cause) {
    throw new DmaeError(
      "unsupported",
      `fromModelJson: ${what} ${name}; install it with npm install ${name}`,
      {},
      { cause },
    );
  }
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
