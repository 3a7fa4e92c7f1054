import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/** Backends that {@link selectBackend} knows; any other registered name works too. */
export type BackendName = "auto" | "tensorflow" | "webgpu" | "wasm" | "cpu" | (string & {});

/** How {@link selectBackend} came to its choice. */
export interface BackendReport {
  /** The backend that is now current. */
  readonly backend: string;
  /** Every backend that was tried, in order, and what came of it. */
  readonly tried: readonly { readonly backend: string; readonly outcome: string }[];
}

/** Packages that register a backend, the preferred one first. */
const packages: Readonly<Record<string, readonly string[]>> = {
  tensorflow: ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"],
  webgpu: ["@tensorflow/tfjs-backend-webgpu"],
  wasm: ["@tensorflow/tfjs-backend-wasm"],
  cpu: ["@tensorflow/tfjs-backend-cpu"],
};

const preference = ["tensorflow", "webgpu", "wasm", "cpu"];

/**
 * Makes a TensorFlow.js backend current, loading its package where that is installed, and waits until
 * it is ready. `"auto"` takes the first that works of `tensorflow` (native, Node only), `webgpu`,
 * `wasm`, `cpu`.
 *
 * In a browser bundle import the backend's package beforehand (`import
 * "@tensorflow/tfjs-backend-webgpu"`): a bundler cannot follow the dynamic import made here.
 *
 * @param name a backend, or `"auto"`
 * @param options `onReport` receives what was chosen, and why nothing before it was
 * @returns the name of the current backend
 * @throws DmaeError "unsupported" with what to install
 */
export async function selectBackend(
  name: BackendName = "auto",
  options: { readonly onReport?: (report: BackendReport) => void } = {},
): Promise<string> {
  const tried: { backend: string; outcome: string }[] = [];
  for (const backend of name === "auto" ? preference : [name]) {
    const failure = await tryBackend(backend);
    tried.push({ backend, outcome: failure ?? "selected" });
    if (failure !== undefined) continue;
    options.onReport?.({ backend, tried });
    return backend;
  }
  const known = Object.keys(packages).join(", ");
  const list = packages[name] ?? packages.wasm!;
  throw new DmaeError(
    "unsupported",
    `selectBackend: "${name}" cannot be used here (${tried.map((t) => `${t.backend}: ${t.outcome}`).join("; ")}); ` +
      (packages[name] || name === "auto"
        ? `install it with "npm install ${list.at(-1)}"`
        : `the backends known here are auto, ${known}`),
    { name, tried },
  );
}

/** Undefined if `backend` is now current and ready, else why not. */
async function tryBackend(backend: string): Promise<string | undefined> {
  const unusable = backend === "webgpu" ? await whyNoWebgpu() : undefined;
  if (unusable) return unusable;
  const reasons: string[] = [];
  if (!tf.findBackendFactory(backend)) {
    if (!packages[backend]) return "no backend of this name is registered";
    for (const specifier of packages[backend]) {
      const reason = await load(specifier);
      if (reason) reasons.push(reason);
      if (tf.findBackendFactory(backend)) break;
    }
    if (!tf.findBackendFactory(backend)) return reasons.join("; ");
  }
  try {
    if (!(await tf.setBackend(backend))) return "its initialisation failed";
    await tf.ready();
    return undefined;
  } catch (error) {
    return `its initialisation failed (${messageOf(error)})`;
  }
}

/** Imports a package for its side effect; undefined if that worked, else why not. */
async function load(specifier: string): Promise<string | undefined> {
  if (specifier.includes("tfjs-node")) {
    if (!isNode()) return `${specifier} needs Node`;
    restoreUtilFunctions();
  }
  try {
    await import(/* @vite-ignore */ /* webpackIgnore: true */ specifier);
    return undefined;
  } catch (error) {
    const code = (error as { code?: string }).code;
    const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
    return missing && messageOf(error).includes(specifier)
      ? `${specifier} is not installed`
      : `${specifier} does not load (${messageOf(error)})`;
  }
}

/** WebGPU needs an adapter, not only the API: asking first avoids a console full of errors. */
async function whyNoWebgpu(): Promise<string | undefined> {
  const gpu = (globalThis.navigator as { gpu?: { requestAdapter(): Promise<unknown> } } | undefined)
    ?.gpu;
  if (!gpu) return "this environment has no navigator.gpu";
  try {
    return (await gpu.requestAdapter()) ? undefined : "navigator.gpu offers no adapter";
  } catch (error) {
    return `navigator.gpu offers no adapter (${messageOf(error)})`;
  }
}

const isNode = () => typeof process !== "undefined" && Boolean(process.versions?.node);

const messageOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0]!;

/** Node 23 dropped `util.isNullOrUndefined` and `util.isArray`, which tfjs-node 4.22 calls. */
export function restoreUtilFunctions(): void {
  const util = process.getBuiltinModule?.("node:util") as unknown as
    | Record<string, unknown>
    | undefined;
  if (!util) return;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
