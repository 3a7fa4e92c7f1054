import { parentPort, workerData } from "node:worker_threads";
import type { FloatArray } from "@dmae/core";
import { localNoise, type NoiseSettings } from "./noise-settings.ts";
import type { NoiseAddress } from "./noise-source.ts";

/** What a thread is asked for: noisy copies, and the memory to put them into. */
export interface NoiseRequest {
  readonly id: number;
  readonly image: FloatArray;
  readonly address: NoiseAddress;
  readonly memory: ArrayBuffer;
}

/** What it sends back: the memory, filled unless drawing failed. */
export interface NoiseReply {
  readonly id: number;
  readonly memory: ArrayBuffer;
  readonly failed: boolean;
}

const noise = localNoise("noiseInWorkers", workerData as NoiseSettings);

parentPort?.on("message", async ({ id, image, address, memory }: NoiseRequest) => {
  let failed = false;
  try {
    await noise.fill(new Float32Array(memory), image, address);
  } catch {
    failed = true; // the caller draws these copies itself and meets the error with its type
  }
  parentPort?.postMessage({ id, memory, failed } satisfies NoiseReply, [memory]);
});
