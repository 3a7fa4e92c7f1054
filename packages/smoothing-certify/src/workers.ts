/** Classifiers and noise in threads. */
export { inWorkers, type WorkerClassifier } from "./classifier/classifier-workers.ts";
export { noiseInWorkers, type WorkerNoise } from "./noise/noise-workers.ts";
