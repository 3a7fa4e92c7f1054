import type { Worker } from "node:worker_threads";
import { DmaeError } from "@dmae/core";
import type { NoiseTask } from "./noise.ts";
import { type RenderFailure, type RenderTask, unpackError } from "./render-items.ts";
import type { WorkerReply, WorkerRequest } from "./worker.ts";

/** Threads that decode and transform images and draw noise; made by {@link createImageWorkers}. */
export interface ImageWorkers {
  /** Number of threads. */
  readonly count: number;
  /** Ends the threads; tasks under way fail. */
  close(): Promise<void>;
}

/** The pool as the loader uses it. */
export interface WorkerPool extends ImageWorkers {
  render(
    task: RenderTask,
    receive: (images: Float32Array, labels: Int32Array, failures: readonly RenderFailure[]) => void,
  ): Promise<void>;
  noise(task: NoiseTask, receive: (noise: Float32Array) => void): Promise<void>;
}

interface Pending {
  readonly request: Omit<WorkerRequest, "memory"> & Record<string, unknown>;
  readonly bytes: number;
  readonly receive: (reply: WorkerReply, values: Float32Array) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Most pieces of spare memory that are kept. */
const maxSpare = 16;

/** The built worker beside this file; when the sources run (in tests), the one of the last build. */
const workerFile = () =>
  new URL(import.meta.url.endsWith(".ts") ? "../dist/worker.js" : "./worker.js", import.meta.url);

/** Node's threads, without an import that bundlers for browsers would follow. */
function threads(): typeof import("node:worker_threads") {
  const { process } = globalThis as { process?: NodeJS.Process };
  const found = process?.getBuiltinModule?.("node:worker_threads");
  if (found) return found;
  throw new DmaeError(
    "unsupported",
    "createImageWorkers: threads need Node; in a browser leave `workers` at 0",
  );
}

/**
 * Starts threads for `batches` and `batchLoader`. One set can serve several loaders, one after the
 * other or at once. Idle threads do not keep the process alive.
 *
 * JPEGs are decoded on libuv's threads, four in a process unless the environment says otherwise: for more than
 * four workers start Node with `UV_THREADPOOL_SIZE` set to their number.
 *
 * @param count number of threads; a core less than there are is a good choice
 *
 * @example
 * ```ts
 * const workers = createImageWorkers(8);
 * const loader = batchLoader(train, { batchSize: 64, workers, transform, shuffle: true, key: key(0) });
 * …
 * await loader.close();
 * await workers.close();
 * ```
 */
export function createImageWorkers(count: number): ImageWorkers {
  return createPool(count);
}

/** The pool behind {@link createImageWorkers}. */
export function createPool(count: number): WorkerPool {
  if (!Number.isInteger(count) || count < 1)
    throw new DmaeError(
      "argument",
      `createImageWorkers: count must be a positive integer, got ${count}`,
    );
  const { Worker } = threads();
  const queue: Pending[] = [];
  const spare: ArrayBuffer[] = []; // memory of finished tasks, for the next ones
  const lanes = Array.from({ length: count }, () => startLane(Worker, next, spare));
  let closed = false;

  function next(): void {
    for (const lane of lanes) {
      if (queue.length === 0) return;
      if (lane.idle()) lane.start(queue.shift()!);
    }
  }

  function submit(
    bytes: number,
    request: Record<string, unknown>,
    receive: Pending["receive"],
  ): Promise<void> {
    if (closed)
      return Promise.reject(
        new DmaeError("argument", "createImageWorkers: the workers are closed"),
      );
    return new Promise((resolve, reject) => {
      queue.push({ request: request as Pending["request"], bytes, receive, resolve, reject });
      next();
    });
  }

  return {
    count,
    render: (render, receive) =>
      submit(4 * render.size * render.items.length, { render }, ({ labels, failures }, values) =>
        receive(
          values,
          labels!,
          failures!.map(({ position, error }) => ({ position, error: unpackError(error) })),
        ),
      ),
    noise: (noise, receive) =>
      submit(4 * noise.size * noise.indices.length, { noise }, (_, values) => receive(values)),
    async close() {
      closed = true;
      const error = new DmaeError("argument", "createImageWorkers: the workers were closed");
      for (const pending of queue.splice(0)) pending.reject(error);
      await Promise.all(lanes.map((lane) => lane.stop(error)));
    },
  };
}

/** One thread, one task at a time; a thread that dies fails its task and is started again for the next. */
function startLane(
  Worker: typeof import("node:worker_threads").Worker,
  free: () => void,
  spare: ArrayBuffer[],
) {
  let worker: Worker | undefined;
  let pending: Pending | undefined;
  let id = 0;

  const finish = (error?: unknown) => {
    const done = pending;
    pending = undefined;
    worker?.unref();
    if (error === undefined) done?.resolve();
    else done?.reject(error);
    free();
  };

  const open = () => {
    const started = new Worker(workerFile(), { name: "dmae-images", execArgv: [] });
    started.on("message", (reply: WorkerReply) => {
      if (!pending || reply.id !== id) return;
      pending.receive(reply, new Float32Array(reply.memory));
      spare.push(reply.memory);
      finish();
    });
    const end = (error: unknown) => {
      if (worker !== started) return; // stopped, or its end is known already
      worker = undefined;
      finish(error);
    };
    started.on("error", end);
    started.on("exit", (code) => end(ended(code)));
    return started;
  };

  return {
    idle: () => pending === undefined,
    start(task: Pending) {
      pending = task;
      try {
        worker ??= open();
        worker.ref();
        const memory = takeMemory(spare, task.bytes);
        worker.postMessage({ ...task.request, id: ++id, memory }, [memory]);
      } catch (error) {
        // not within the loop that hands out tasks, which finish goes on with
        queueMicrotask(() => pending === task && finish(error));
      }
    },
    async stop(error: unknown) {
      const stopped = worker;
      worker = undefined;
      if (pending) finish(error);
      await stopped?.terminate();
    },
  };
}

/** A thread can end without an error, e.g. by `process.exit` in what a data set loads there. */
const ended = (code: number) =>
  new DmaeError(
    "unsupported",
    `createImageWorkers: a thread must run until it is closed, but it ended with exit code ${code}; look for process.exit in what your data set or transform loads`,
    { code },
  );

/** Spare memory of exactly this size, or new; of other sizes only the latest few are kept. */
function takeMemory(spare: ArrayBuffer[], bytes: number): ArrayBuffer {
  const found = spare.findIndex((memory) => memory.byteLength === bytes);
  if (found >= 0) return spare.splice(found, 1)[0]!;
  spare.splice(0, spare.length - maxSpare);
  return new ArrayBuffer(bytes);
}
