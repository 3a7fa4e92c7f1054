import { parentPort } from "node:worker_threads";
import { loadSharp } from "./load-sharp.ts";
import { drawNoise, type NoiseTask } from "./noise.ts";
import { packError, type RenderTask, renderItems } from "./render-items.ts";

/** What the pool sends to a worker: a task and the memory for its result. */
export type WorkerRequest = { readonly id: number; readonly memory: ArrayBuffer } & (
  | { readonly render: RenderTask }
  | { readonly noise: NoiseTask }
);

/** What a worker sends back; `memory` is handed back with the result in it. */
export interface WorkerReply {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly labels?: Int32Array;
  /** Failures of single images; the errors are packed. */
  readonly failures?: readonly { readonly position: number; readonly error: unknown }[];
}

/** Two images at a time: one is decoded on sharp's threads while the other is transformed here. */
const atOnce = 2;

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  const { id, memory } = request;
  const out = new Float32Array(memory);
  if ("noise" in request) {
    drawNoise(request.noise, out);
    return { id, memory };
  }
  const { labels, failures } = await renderItems(request.render, out, atOnce);
  const packed = failures.map(({ position, error }) => ({ position, error: packError(error) }));
  return { id, memory, labels, failures: packed };
}

parentPort?.on("message", (request: WorkerRequest) => {
  void answer(request).then((reply) => parentPort?.postMessage(reply, [reply.memory]));
});

// Workers share the process's decoding threads: each image gets one of them.
loadSharp("worker").then(
  (sharp) => {
    sharp.concurrency(1);
    sharp.cache(false);
  },
  () => {}, // data sets in memory do without; others get the error with their first image
);
