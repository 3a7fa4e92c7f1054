import { DmaeError } from "@dmae/core";
import { standIn } from "@dmae/core/checks";
import { readRegularFile } from "../files.ts";
import { inNode } from "../in-node.ts";

/** What is used of an ONNX Runtime session. */
export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata?: readonly OnnxValue[];
  readonly outputMetadata?: readonly OnnxValue[];
  /** Runs the graph. */
  run(feeds: never, fetches: readonly string[]): Promise<unknown>;
  /** Frees it. */
  release?(): Promise<void>;
}

/** Type and shape of an input or output; symbolic dimensions are text. */
export interface OnnxValue {
  readonly name: string;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** The module `onnxruntime-node`, `onnxruntime-web` or `onnxruntime-web/webgpu`. */
export interface OnnxRuntime {
  /** The class of its sessions. */
  readonly InferenceSession: unknown;
  /** The class of its tensors. */
  readonly Tensor: unknown;
}

/** The same, as it is used here. */
export interface LoadedRuntime {
  readonly InferenceSession: {
    create(model: string | Uint8Array, options?: object): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: string, data: ArrayBufferView, dims: readonly number[]) => object;
}

/** The runtime that was given, or the one of this environment. */
export async function loadRuntime(given: OnnxRuntime | undefined): Promise<LoadedRuntime> {
  if (given) return given as LoadedRuntime;
  try {
    // In bundles for browsers, package.json's "browser" field leaves the native package out.
    const module = inNode ? await import("onnxruntime-node") : await import("onnxruntime-web");
    const { default: whole = module } = module as { default?: object };
    return whole as LoadedRuntime;
  } catch (cause) {
    const name = inNode ? "onnxruntime-node" : "onnxruntime-web";
    throw new DmaeError(
      "unsupported",
      `fromOnnx: ${name} is needed; install it with npm install ${name}`,
      {},
      { cause },
    );
  }
}

/** A model as a file: its path or address, or its bytes. */
export type OnnxFile = string | URL | Blob | Uint8Array | ArrayBuffer;

/** Bytes of a model, and what a session is best made of: the path, where files of weights may lie beside it. */
export async function readModel(
  model: OnnxFile,
): Promise<{ bytes: Uint8Array; source: string | Uint8Array }> {
  if (model instanceof Uint8Array) return checkedBytes(model);
  if (model instanceof ArrayBuffer) return checkedBytes(new Uint8Array(model));
  if (model instanceof Blob) return checkedBytes(new Uint8Array(await model.arrayBuffer()));
  const path = await pathOfModel(model);
  if (path === undefined) return download(model);
  return { bytes: await readRegularFile(path, 2 ** 31 - 1), source: path };
}

/** The path of a model that is a file of this machine; none for bytes and in browsers. */
export async function pathOfModel(model: OnnxFile): Promise<string | undefined> {
  if (!inNode || (typeof model !== "string" && !(model instanceof URL))) return undefined;
  const { fileURLToPath } = await import("node:url");
  const isAddress = model instanceof URL || /^file:/i.test(model);
  return isAddress ? fileURLToPath(model) : model;
}

async function download(address: string | URL) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`);
  return checkedBytes(new Uint8Array(await response.arrayBuffer()));
}

function checkedBytes(bytes: Uint8Array) {
  const other = standIn(bytes);
  if (other) throw new Error(`it is ${other}`);
  return { bytes, source: bytes };
}
