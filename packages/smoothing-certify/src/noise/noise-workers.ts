import type { FloatArray } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkInteger } from "../checks.ts";
import { inNode } from "../in-node.ts";
import { localNoise, type NoiseSettings } from "./noise-settings.ts";
import { checkFill, type LocalNoise, type NoiseAddress, type NoiseSource } from "./noise-source.ts";
import { type NoiseThreads, startNoiseThreads } from "./noise-threads.ts";

/** Noise drawn in worker threads; see {@link noiseInWorkers}. */
export interface WorkerNoise extends NoiseSource {
  /** Threads that draw; 0 where there are none, and the noise is drawn in the caller's thread. */
  readonly workers: number;
  /** Ends the threads. The noise can still be used, and is then drawn in the caller's thread. */
  close(): Promise<void>;
}

/** Below this many numbers a batch is drawn in less time than it takes to hand over. */
const SMALL = 100_000;

/**
 * Noise with the bits of `noiseSource` or `soundNoise`, drawn in worker threads: a batch is
 * shared among them, and while an image's samples are asked for in order the next batch is drawn ahead,
 * so that it is there when the model is done with this one.
 *
 * Worth it where noise takes a visible part of the time and cores are idle: large images on a fast
 * accelerator (128 images of 224 x 224 x 3 are 19 million normals, 0.2 s of one core). Elsewhere leave it out: on
 * two cores `npm run bench noise` finds between 0.8 and 1.2 times the speed for 224 x 224 x 3, and none for small
 * images. Idle threads do not keep the process alive. In browsers, and where threads cannot start,
 * everything is drawn in the caller's thread.
 *
 * @param settings seed, sigma, distribution, or `sound: true`
 * @param options `workers`: number of threads; default: one less than there are cores, at most 8
 * @throws {DmaeError} "argument" for bad settings
 * @example
 * const noise = await noiseInWorkers({ seed: 0, sigma: 0.5 });
 * const result = await certify(classifier, x, { sigma: 0.5, noise });
 * await noise.close();
 */
export async function noiseInWorkers(
  settings: NoiseSettings,
  options: { readonly workers?: number } = {},
): Promise<WorkerNoise> {
  checkOptions("noiseInWorkers", options, { workers: true });
  checkOptions("noiseInWorkers", settings, {
    seed: true,
    sigma: true,
    distribution: true,
    sound: "boolean",
  });
  const local = localNoise("noiseInWorkers", settings);
  if (options.workers !== undefined) checkInteger("noiseInWorkers", "workers", options.workers, 0);
  const threads = await startNoiseThreads(settings, options.workers ?? (await defaultWorkers()));
  const reader = new AheadReader(local, threads);
  return {
    generator: local.generator,
    ...(local.totalVariation && { totalVariation: local.totalVariation }),
    drawnWith: local.drawnWith,
    get workers() {
      return threads.count;
    },
    fill: (out, image, address) => reader.fill(out, image, address),
    close: () => threads.close(),
  };
}

async function defaultWorkers(): Promise<number> {
  if (!inNode) return 0;
  const { availableParallelism } = await import("node:os");
  return Math.min(8, availableParallelism() - 1);
}

/** Samples `first … first + count - 1` of the current image and stage, drawn or being drawn. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly copies: Promise<Float32Array | undefined>;
}

/** Shares fills among threads and reads ahead. */
export class AheadReader {
  /** The image whose samples are asked for in order, and where the last fill ended. */
  #image: FloatArray = new Float32Array(0);
  #last: NoiseAddress = { image: -1, stage: "selection", first: 0, count: 0 };
  /** Pieces drawn ahead, in order, without gaps. */
  #pieces: Piece[] = [];
  /** Most samples that one fill asked for. */
  #most = 0;

  constructor(
    private readonly local: LocalNoise,
    private readonly threads: NoiseThreads,
  ) {}

  async fill(out: Float32Array, image: FloatArray, address: NoiseAddress): Promise<void> {
    const { first, count } = address;
    checkFill("noiseInWorkers.fill", out, image, address);
    const continues = this.#continues(image, address);
    if (!continues) this.#start(image, address);
    this.#most = Math.max(this.#most, count);
    this.#last = address;
    const isSmall = this.#most * image.length < SMALL;
    if (this.threads.count === 0 || isSmall) return this.local.fill(out, image, address);
    this.#drawUntil(first, first + count);
    const used = this.#pieces.filter((piece) => piece.first < first + count);
    // pieces that end here are done with; one that goes on is read from again by the next fill
    this.#pieces = this.#pieces.filter((piece) => piece.first + piece.count > first + count);
    if (continues) this.#drawUntil(first + count, first + count + this.#most);
    this.threads.hold();
    try {
      await Promise.all(used.map((piece) => this.#copy(piece, out, image, address)));
    } finally {
      this.threads.unhold();
    }
  }

  #continues(image: FloatArray, { image: index, stage, first }: NoiseAddress): boolean {
    const last = this.#last;
    const isNext =
      last.image === index && last.stage === stage && last.first + last.count === first;
    return (
      isNext && image.length === this.#image.length && this.#image.every((v, i) => v === image[i])
    );
  }

  #start(image: FloatArray, address: NoiseAddress): void {
    for (const { copies } of this.#pieces)
      void copies.then((drawn) => drawn && this.threads.recycle(drawn));
    this.#pieces = [];
    this.#image = image.slice();
    this.#last = { ...address, count: 0 };
  }

  /** Has the threads draw the samples `from … end - 1` that are not under way. */
  #drawUntil(from: number, end: number): void {
    const tail = this.#pieces.at(-1);
    let first = tail ? tail.first + tail.count : from;
    const share = Math.ceil((end - first) / this.threads.count);
    for (; first < end; first += share) {
      const count = Math.min(share, end - first);
      const copies = this.threads.draw(this.#image, { ...this.#last, first, count });
      this.#pieces.push({ first, count, copies });
    }
  }

  /** Copies what a piece holds of the samples of `address`; draws it here where the threads failed. */
  async #copy(
    piece: Piece,
    out: Float32Array,
    image: FloatArray,
    address: NoiseAddress,
  ): Promise<void> {
    const d = image.length;
    const first = Math.max(piece.first, address.first);
    const end = Math.min(piece.first + piece.count, address.first + address.count);
    const target = out.subarray((first - address.first) * d, (end - address.first) * d);
    const drawn = await piece.copies;
    if (!drawn) return this.local.fill(target, image, { ...address, first, count: end - first });
    target.set(drawn.subarray((first - piece.first) * d, (end - piece.first) * d));
    if (piece.first + piece.count === end) this.threads.recycle(drawn);
  }
}
