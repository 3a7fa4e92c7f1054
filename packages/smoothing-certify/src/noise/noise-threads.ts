import type { Worker } from "node:worker_threads";
import type { FloatArray } from "@dmae/core";
import { inNode } from "../in-node.ts";
import type { NoiseSettings } from "./noise-settings.ts";
import type { NoiseAddress } from "./noise-source.ts";
import type { NoiseReply, NoiseRequest } from "./noise-worker.ts";

/** Threads that draw noise. */
export interface NoiseThreads {
  /** Number of threads; 0 once they cannot be used. */
  readonly count: number;
  /** Noisy copies of `image`, or nothing where the threads failed. */
  draw(image: FloatArray, address: NoiseAddress): Promise<Float32Array | undefined>;
  /** Takes back memory of copies that are no longer needed. */
  recycle(copies: Float32Array): void;
  /** Keeps the process alive until as many calls of `unhold` have followed. */
  hold(): void;
  unhold(): void;
  /** Ends the threads; draws under way give nothing. */
  close(): Promise<void>;
}

const here = import.meta.url;

/**
 * The built worker beside this file; when the sources run (in tests), the one of the last build. Bundlers take
 * `new URL(…, import.meta.url)` for a file that they must find, and webpack's app then fails when it starts.
 */
const workerFile = () =>
  new URL(here.endsWith(".ts") ? "../../dist/noise-worker.js" : "./noise-worker.js", here);

/** Most pieces of spare memory that are kept. */
const MOST_SPARE = 64;

/** Starts `count` threads, or none where there are no worker threads. */
export async function startNoiseThreads(
  settings: NoiseSettings,
  count: number,
): Promise<NoiseThreads> {
  const workers = await startWorkers(settings, count);
  const waiting = new Map<number, (reply?: NoiseReply) => void>();
  const spare: ArrayBuffer[] = [];
  let usable = workers.length;
  let id = 0;
  let holds = 0;

  const fail = () => {
    usable = 0;
    for (const resolve of waiting.values()) resolve();
    waiting.clear();
  };
  for (const worker of workers) {
    worker.on("message", (reply: NoiseReply) => {
      waiting.get(reply.id)?.(reply);
      waiting.delete(reply.id);
    });
    worker.on("error", fail);
    worker.on("exit", fail);
    worker.unref();
  }

  return {
    get count() {
      return usable;
    },
    async draw(image, address) {
      if (usable === 0) return undefined;
      const bytes = 4 * image.length * address.count;
      const memory = takeSpare(spare, bytes) ?? new ArrayBuffer(bytes);
      const request: NoiseRequest = { id: id++, image, address, memory };
      const reply = await new Promise<NoiseReply | undefined>((resolve) => {
        waiting.set(request.id, resolve);
        workers[request.id % workers.length]!.postMessage(request, [memory]);
      });
      return reply && !reply.failed ? new Float32Array(reply.memory) : undefined;
    },
    recycle(copies) {
      if (spare.length < MOST_SPARE) spare.push(copies.buffer as ArrayBuffer);
    },
    hold() {
      if (holds++ === 0) for (const worker of workers) worker.ref();
    },
    unhold() {
      if (--holds === 0) for (const worker of workers) worker.unref();
    },
    async close() {
      fail();
      spare.length = 0;
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/** Memory of this size; all that is of another size is let go. */
function takeSpare(spare: ArrayBuffer[], bytes: number): ArrayBuffer | undefined {
  const found = spare.findIndex((memory) => memory.byteLength === bytes);
  if (found >= 0) return spare.splice(found, 1)[0];
  if (spare.length === MOST_SPARE) spare.length = 0;
  return undefined;
}

async function startWorkers(settings: NoiseSettings, count: number): Promise<Worker[]> {
  if (!inNode) return [];
  const { Worker } = await import("node:worker_threads");
  const options = { name: "dmae-noise", workerData: settings, execArgv: [] };
  return Array.from({ length: count }, () => new Worker(workerFile(), options));
}
