import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import { measureBackend, probeSize } from "./measure-backend.ts";
import { quietly } from "./quietly.ts";

/** Backends that {@link selectBackend} knows; any other registered name works too. */
export type BackendName = "auto" | "tensorflow" | "webgpu" | "wasm" | "cpu" | (string & {});

/** What came of one backend. */
export interface TriedBackend {
  /** Its name. */
  readonly backend: string;
  /** "selected", how fast it was, or why it cannot be used. */
  readonly outcome: string;
  /** Milliseconds of the probe, where `"auto"` had a choice: a product of two 256 x 256 matrices, result read back. */
  readonly milliseconds?: number;
}

/** How {@link selectBackend} came to its choice. */
export interface BackendReport {
  /** The backend that is now current. */
  readonly backend: string;
  /** One line for people: what was chosen, and why. */
  readonly reason: string;
  /** Every backend that was tried, in order, and what came of it. */
  readonly tried: readonly TriedBackend[];
}

/** Packages that register a backend, the preferred one first. */
const packages: Readonly<Record<string, readonly string[]>> = {
  tensorflow: ["@tensorflow/tfjs-node", "@tensorflow/tfjs-node-gpu"],
  webgpu: ["@tensorflow/tfjs-backend-webgpu"],
  wasm: ["@tensorflow/tfjs-backend-wasm"],
  cpu: ["@tensorflow/tfjs-backend-cpu"],
};

const candidates = ["tensorflow", "webgpu", "wasm", "cpu"];

/** The names of the packages serve as names of their backend. */
const synonyms: Readonly<Record<string, string>> = {
  "tfjs-node": "tensorflow",
  "tfjs-node-gpu": "tensorflow",
};

/**
 * Makes a TensorFlow.js backend current, loading its package where that is installed, and waits until
 * it is ready. `"auto"` tries `tensorflow` (native, Node only), `webgpu`, `wasm`, `cpu`, lets each that
 * works multiply two matrices, and takes the fastest: measured on this machine, in less than a second.
 *
 * In a browser bundle import the backend's package beforehand (`import
 * "@tensorflow/tfjs-backend-webgpu"`): a bundler cannot follow the dynamic import made here.
 *
 * @param name a backend, `"tfjs-node"` for `tensorflow`, or `"auto"`
 * @param options `onReport` receives what was chosen, and why nothing else was
 * @returns the name of the current backend
 * @throws DmaeError "unsupported" with what to install
 */
export async function selectBackend(
  name: BackendName = "auto",
  options: { readonly onReport?: (report: BackendReport) => void } = {},
): Promise<string> {
  checkOptions("selectBackend", options, { onReport: true });
  const wanted = synonyms[name] ?? name;
  const { backend, tried } = wanted === "auto" ? await fastest() : await only(wanted);
  if (backend === undefined) throw unusable(name, wanted, tried);
  options.onReport?.({ backend, reason: reasonFor(backend, wanted, tried), tried });
  return backend;
}

interface Choice {
  readonly backend: string | undefined;
  readonly tried: readonly TriedBackend[];
}

async function only(backend: string): Promise<Choice> {
  const failure = await tryBackend(backend);
  const tried = [{ backend, outcome: failure ?? "selected" }];
  return { backend: failure === undefined ? backend : undefined, tried };
}

async function fastest(): Promise<Choice> {
  const tried: TriedBackend[] = [];
  for (const backend of candidates) {
    const failure = await tryBackend(backend);
    tried.push(failure === undefined ? await measured(backend) : { backend, outcome: failure });
  }
  const [best] = tried
    .filter(({ milliseconds }) => milliseconds !== undefined)
    .sort((a, b) => a.milliseconds! - b.milliseconds!);
  if (best) await tf.setBackend(best.backend);
  return { backend: best?.backend, tried };
}

/** The outcome of the backend that is now current. */
async function measured(backend: string): Promise<TriedBackend> {
  try {
    const milliseconds = await measureBackend();
    if (Number.isNaN(milliseconds)) return { backend, outcome: "it computes wrong numbers" };
    return { backend, outcome: `${Number(milliseconds.toPrecision(2))} ms`, milliseconds };
  } catch (error) {
    return { backend, outcome: `its first matrix product failed (${messageOf(error)})` };
  }
}

function reasonFor(chosen: string, wanted: string, tried: readonly TriedBackend[]): string {
  if (wanted !== "auto") return `${chosen}: asked for`;
  const others = tried.filter(({ backend }) => backend !== chosen);
  const own = tried.find(({ backend }) => backend === chosen)!;
  const rest = others.map(({ backend, outcome }) => `${backend}: ${outcome}`).join("; ");
  return `${chosen}: ${own.outcome} for a product of two ${probeSize} x ${probeSize} matrices (${rest})`;
}

function unusable(name: string, wanted: string, tried: readonly TriedBackend[]): DmaeError {
  const known = Object.keys(packages).join(", ");
  const list = packages[wanted] ?? packages.wasm!;
  const outcomes = tried.map(({ backend, outcome }) => `${backend}: ${outcome}`).join("; ");
  return new DmaeError(
    "unsupported",
    `selectBackend: "${name}" cannot be used here (${outcomes}); ` +
      (packages[wanted] || wanted === "auto"
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
    await quietly(async () => tf.scalar(0).dispose()); // the first tensor is when cpu advertises
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
    await quietly(() => import(/* @vite-ignore */ /* webpackIgnore: true */ specifier));
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
