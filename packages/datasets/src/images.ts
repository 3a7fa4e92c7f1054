/** Single image files: decoding, threads that decode, and the search for damaged files. */
export { decodeImage } from "./decode.ts";
export { findCorruptImages } from "./find-corrupt-images.ts";
export { createImageWorkers } from "./image-workers.ts";
