import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkInteger } from "../checks.ts";
import { requireNode } from "../in-node.ts";
import { identityOf } from "./classifier.ts";
import type { ClassifierTraits } from "./classifier-traits.ts";
import type { CombinedClassifier } from "./combine.ts";
import { readNumbers } from "./outputs.ts";
import { sha256 } from "./sha256.ts";

/** A classifier that runs in worker threads. */
export interface WorkerClassifier extends CombinedClassifier {
  /** Ends the threads. */
  dispose(): Promise<void>;
}

/** What a classifier says of itself that its thread hands on. */
const handedOn: readonly (keyof ClassifierTraits)[] = [
  ...(["name", "fingerprint", "fixedBatchSize", "imageShape", "numClasses"] as const),
  ...(["rowMixers", "randomParts", "preprocessing"] as const),
];

/** Runs in each thread: says what it has loaded, and answers batches with what the module's function returns. */
const program = `
const { parentPort, workerData } = require("node:worker_threads");
const loaded = import(workerData.url).then((module) => {
  const found = module[workerData.name];
  const fn = typeof found === "function" ? found : found?.predict?.bind(found);
  if (!fn) throw new Error("no classifier is exported as " + workerData.name);
  const traits = Object.fromEntries(workerData.handedOn.map((name) => [name, found[name]]));
  parentPort.postMessage({ traits: JSON.stringify(traits) });
  return fn;
});
loaded.catch(() => parentPort.postMessage({ traits: "{}" }));
let last = Promise.resolve();
parentPort.on("message", ({ id, batch, shape }) => {
  last = last.then(async () => {
    try {
      const fn = await loaded;
      parentPort.postMessage({ id, answer: await fn(batch, shape) });
    } catch (error) {
      parentPort.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
});
`;

/** What a thread sends back. */
interface Reply {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** What it sends before that. */
interface Loaded {
  readonly traits: string;
}

interface Thread {
  /** What the classifier says of itself; nothing where it could not be loaded, which the first call reports. */
  readonly traits: Promise<ClassifierTraits>;
  run(batch: Float32Array, shape: number[]): Promise<unknown>;
  end(): Promise<unknown>;
}

/**
 * Runs a classifier written in plain JavaScript in worker threads: each batch is shared among them.
 * The votes are the same as without threads, as every row is classified by itself.
 *
 * @param module path or URL of a module that exports the classifier; it is imported by every thread
 * @param options `export`: its name, default `default`; `workers`: number of threads, default the
 *   number of cores
 * @returns dispose of it when done
 * @throws {DmaeError} "unsupported" in browsers
 * @example
 * const classify = await inWorkers(new URL("./classify.js", import.meta.url));
 * const { radius } = await certify(classify, image, { sigma: 0.25 });
 */
export async function inWorkers(
  module: string | URL,
  options: WorkerOptions = {},
): Promise<WorkerClassifier> {
  return (await loadInWorkers(module, options)).classifier;
}

interface WorkerOptions {
  readonly export?: string | undefined;
  readonly workers?: number | undefined;
}

/** {@link inWorkers}, with the identity that the classifier has where it runs in this thread. */
export async function loadInWorkers(
  module: string | URL,
  options: WorkerOptions,
): Promise<{ readonly classifier: WorkerClassifier; readonly identity: string }> {
  checkOptions("inWorkers", options, { export: true, workers: true });
  requireNode("inWorkers", "worker threads");
  const { availableParallelism } = await import("node:os");
  const { pathToFileURL } = await import("node:url");
  const { workers = availableParallelism(), export: name = "default" } = options;
  checkInteger("inWorkers", "workers", workers);
  const url = module instanceof URL ? module : pathToFileURL(module);
  const threads = await Promise.all(
    Array.from({ length: workers }, () => startThread(url.href, name)),
  );
  const traits = await threads[0]!.traits;
  const { fingerprint, fixedBatchSize } = traits;
  const classifier: WorkerClassifier = {
    ...traits,
    ...(fixedBatchSize && { fixedBatchSize: fixedBatchSize * workers }),
    input: "array",
    fingerprint: JSON.stringify([
      "workers",
      await hashOf(url),
      name,
      ...(fingerprint ? [fingerprint] : []),
    ]),
    name: `${url.pathname.replace(/^.*\//, "")}#${name}`,
    predict: (batch: Float32Array, shape: number[]) => share(threads, batch, shape),
    async dispose() {
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
  return { classifier, identity: identityOf(traits) };
}

/** Hash of a module's file; of its address where it is not in a file. What it imports is left out. */
async function hashOf(url: URL): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  const bytes = url.protocol === "file:" ? await readFile(url).catch(() => url.href) : url.href;
  return sha256(bytes);
}

async function startThread(url: string, name: string): Promise<Thread> {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(program, { eval: true, workerData: { url, name, handedOn } });
  const waiting = new Map<number, (reply: Reply | Error) => void>();
  let ended: Error | undefined;
  let next = 0;
  let load: (traits: ClassifierTraits) => void;
  const traits = new Promise<ClassifierTraits>((resolve) => {
    load = resolve;
  });
  const loaded = (text: string) => {
    load(JSON.parse(text));
    if (waiting.size === 0) worker.unref();
  };
  const settle = (id: number, reply: Reply | Error) => {
    waiting.get(id)?.(reply);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref(); // an idle thread does not keep the process alive
  };
  const end = (error: Error) => {
    ended ??= error;
    for (const id of [...waiting.keys()]) settle(id, ended);
    load({});
  };
  worker.on("message", (sent: Reply | Loaded) =>
    "traits" in sent ? loaded(sent.traits) : settle(sent.id, sent),
  );
  worker.on("messageerror", end);
  worker.on("error", (cause) => end(failed(`a thread failed: ${cause?.message ?? cause}`, cause)));
  worker.on("exit", (code) => end(failed(`a thread exited with code ${code}`)));
  return {
    traits,
    run(batch, shape) {
      if (ended) return Promise.reject(ended);
      const id = next++;
      const copy = batch.slice();
      return new Promise((resolve, reject) => {
        waiting.set(id, (reply) => {
          if (reply instanceof Error) reject(reply);
          else if (reply.error !== undefined) reject(new Error(reply.error));
          else resolve(reply.answer);
        });
        worker.ref();
        worker.postMessage({ id, batch: copy, shape }, [copy.buffer as ArrayBuffer]);
      });
    },
    end() {
      end(failed("it was disposed of"));
      return worker.terminate();
    },
  };
}

function failed(what: string, cause?: unknown): DmaeError {
  return new DmaeError("classifier", `inWorkers: ${what}; make the classifier anew`, {}, { cause });
}

/** Gives every thread its share of the rows and puts their answers together. */
async function share(
  threads: readonly Thread[],
  batch: Float32Array,
  shape: number[],
): Promise<{ data: Float64Array; dims: number[] }> {
  const [rows = 0, ...rest] = shape;
  const size = batch.length / rows;
  const each = Math.ceil(rows / threads.length);
  const starts = Array.from({ length: Math.ceil(rows / each) }, (_, i) => i * each);
  const parts = await Promise.all(
    starts.map(async (first, i) => {
      const end = Math.min(rows, first + each);
      const part = batch.subarray(first * size, end * size);
      const { values } = await readNumbers(await threads[i]!.run(part, [end - first, ...rest]));
      if (values.length % (end - first) !== 0)
        throw new DmaeError(
          "classifier",
          `inWorkers: the classifier must return logits [${end - first}, classes] or class ids [${end - first}], got ${values.length} numbers`,
        );
      return { first, values, width: values.length / (end - first) };
    }),
  );
  const width = parts[0]!.width;
  const data = new Float64Array(rows * width);
  for (const part of parts) data.set(part.values, part.first * width);
  return { data, dims: width === 1 ? [rows] : [rows, width] };
}
