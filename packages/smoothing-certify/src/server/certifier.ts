import { DmaeError, type FloatArray } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkPositive, refuseOthers, show } from "../checks.ts";
import {
  type Classifier,
  type PreparedClassifier,
  prepareClassifier,
} from "../classifier/classifier.ts";
import { type ImageInput, readImage } from "../classifier/image.ts";
import { checkPreprocessings } from "../classifier/range.ts";
import { freshSeed, type Seed } from "../noise/fresh-seed.ts";
import { localNoise } from "../noise/noise-settings.ts";
import {
  batchSizerOf,
  checkSampling,
  inDimension,
  type SamplingOptions,
  samplingNames,
} from "../run/options.ts";
import { RowCheck } from "../run/row-check.ts";
import { type AnytimeResult, Request } from "./request.ts";
import { SharedBatches } from "./shared-batches.ts";

/** Options of {@link createCertifier}. */
export interface CertifierOptions extends Omit<SamplingOptions, "seed" | "noise" | "signal"> {
  /** Shape of every input, without batch dimension. */
  readonly shape: readonly number[];
  /** Allowed probability of a wrong certificate, for each request; default 0.001. */
  readonly alpha?: number | undefined;
  /** Selection samples, which guess the class; default 100. */
  readonly n0?: number | undefined;
  /** Most estimation samples of a request; default 10,000. */
  readonly maxSamples?: number | undefined;
  /** Most requests under way; more are refused. Default 256. */
  readonly maxRequests?: number | undefined;
}

/** Options of one request. */
export interface CertifierRequest {
  /** Milliseconds after which the best radius so far is the answer. */
  readonly deadline?: number | undefined;
  /** A radius that suffices: the request ends once it is certified. */
  readonly radius?: number | undefined;
  /** For `stream`: most samples between two results, also where the radius did not grow. Default no limit. */
  readonly every?: number | undefined;
  /** Gives the request up; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Seed of the noise; default a fresh one, which nobody knows beforehand. */
  readonly seed?: Seed | undefined;
}

/** Certifies requests that come at any time, in shared batches. */
export interface Certifier {
  /** Requests under way. */
  readonly pending: number;
  /**
   * The certificate of one input, the best there is when the request ends.
   *
   * @throws {DmaeError} "unsupported" with `details.busy` where `maxRequests` are under way
   */
  certify(x: ImageInput, request?: CertifierRequest): Promise<AnytimeResult>;
  /**
   * The certificates of one input while its radius grows; each is valid, the last is that of `certify`. Results that a
   * slow reader misses are skipped.
   */
  stream(x: ImageInput, request?: CertifierRequest): AsyncGenerator<AnytimeResult, void, void>;
  /**
   * Refuses further requests, waits for those under way and checks the classifier's rows once more.
   *
   * @throws {DmaeError} "classifier" where the rows depend on each other by now: no certificate holds then
   */
  close(): Promise<void>;
}

const { seed: _, noise: __, signal: ___, ...sharedNames } = samplingNames;
const optionNames = {
  ...sharedNames,
  shape: true,
  alpha: true,
  n0: true,
  maxSamples: true,
  maxRequests: true,
} satisfies OptionNames<CertifierOptions>;
const requestNames = {
  deadline: true,
  radius: true,
  every: true,
  signal: "signal",
  seed: "seed",
} satisfies OptionNames<CertifierRequest>;

/** Batches between two checks that rows do not depend on each other. */
const CHECK_EVERY = 1000;

/**
 * A certifier for a server: requests queue and share the batches of the classifier, each has a deadline, and the
 * answer is the best radius certified so far.
 *
 * A radius may be read at any time: a ladder of sequential tests (mixture likelihood ratios, Ville's
 * inequality) keeps the probability that a request's radius is *ever* too large at most alpha, whenever and
 * why ever it ends. Each request has noise of its own, with a fresh seed; the samples that others have in the
 * same batch change nothing. Radii lie on a grid of sigma / 100.
 *
 * @param classifier function or model; see {@link Classifier}
 * @throws {DmaeError} "argument" for options out of range
 * @example
 * const certifier = await createCertifier(classify, { sigma: 0.25, shape: [28, 28, 1] });
 * const { prediction, radius } = await certifier.certify(image, { deadline: 200 });
 * for await (const { radius } of certifier.stream(image)) console.log(radius); // grows
 * await certifier.close();
 */
export async function createCertifier(
  classifier: Classifier,
  options: CertifierOptions,
): Promise<Certifier> {
  const caller = "createCertifier";
  checkOptions(caller, options, optionNames);
  checkSampling(caller, options);
  const { sigma, alpha = 0.001, n0 = 100, maxSamples = 10_000, maxRequests = 256 } = options;
  checkAlpha(caller, alpha);
  checkInteger(caller, "n0", n0);
  checkInteger(caller, "maxSamples", maxSamples);
  checkInteger(caller, "maxRequests", maxRequests);
  refuseOthers(caller, options, { distribution: "gaussian" });
  const { shape } = options;
  if (
    !Array.isArray(shape) ||
    shape.length === 0 ||
    shape.some((length) => !Number.isSafeInteger(length) || length < 1)
  )
    throw new DmaeError(
      "shape",
      `${caller}: shape must be that of one input, e.g. [28, 28, 1], got ${Array.isArray(shape) ? `[${shape}]` : show(shape)}`,
    );
  const prepared = await prepareClassifier(caller, classifier, options, false);
  checkPreprocessings(caller, prepared.traits.preprocessing, options.range);
  const { totalVariation } = inDimension(options, shape);
  const ladder = { sigma, alpha, totalVariation };
  return new SharedCertifier(prepared, options, { ...ladder, n0, maxSamples, maxRequests });
}

interface Numbers {
  readonly sigma: number;
  readonly alpha: number;
  readonly totalVariation: number;
  readonly n0: number;
  readonly maxSamples: number;
  readonly maxRequests: number;
}

/** The latest result of a request, for whoever waits for it; what a slow reader missed is skipped. */
class Progress {
  private latest: AnytimeResult | undefined;
  private failed: { reason: unknown } | undefined;
  private wake = () => {};

  tell(result: AnytimeResult): void {
    this.latest = result;
    this.wake();
  }

  fail(reason: unknown): void {
    this.failed ??= { reason };
    this.wake();
  }

  async next(): Promise<AnytimeResult> {
    if (!this.latest && !this.failed)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    if (this.failed) throw this.failed.reason;
    const latest = this.latest!;
    this.latest = undefined;
    return latest;
  }
}

class SharedCertifier implements Certifier {
  private readonly shared: SharedBatches;
  private readonly waiting = new Map<Request, Progress>();
  private readonly check: RowCheck | undefined;
  private image: FloatArray | undefined;
  private batches = 0;
  /** Inputs of admitted requests that are being read. */
  private readonly reading = new Set<Promise<FloatArray>>();
  private closed: DmaeError | undefined;
  /** Why no certificate of the classifier holds. */
  private fault: unknown;

  constructor(
    prepared: PreparedClassifier,
    private readonly options: CertifierOptions,
    private readonly numbers: Numbers,
  ) {
    const imageShape = options.shape;
    const size = imageShape.reduce((product, length) => product * length, 1);
    const batches = batchSizerOf(options, prepared, size);
    const noise = this.noiseOf(freshSeed());
    const { checkRows = true, randomized = false } = options;
    if (checkRows) {
      const common = { classifier: prepared, noise, imageShape, randomized };
      this.check = new RowCheck({ ...common, batchSize: batches.largest });
    }
    this.shared = new SharedBatches({
      ...{ classifier: prepared, batches, imageShape },
      beforeBatch: () => this.checkSometimes(),
      onError: (reason, requests) => {
        for (const request of requests) this.waiting.get(request)?.fail(reason);
      },
    });
  }

  get pending(): number {
    return this.waiting.size + this.reading.size;
  }

  async certify(x: ImageInput, given: CertifierRequest = {}): Promise<AnytimeResult> {
    let last: AnytimeResult | undefined;
    for await (last of this.stream(x, given)); // to its end
    return last!;
  }

  async *stream(
    x: ImageInput,
    given: CertifierRequest = {},
  ): AsyncGenerator<AnytimeResult, void, void> {
    checkRequest(given);
    const { signal, deadline } = given;
    const image = await this.admitted(x);
    const progress = new Progress();
    const request = this.open(image, given, progress);
    const abort = () => {
      progress.fail(signal?.reason);
      request.end();
    };
    const timer = deadline === undefined ? undefined : setTimeout(() => request.end(), deadline);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    else this.shared.add(request);
    try {
      for (let isOpen = true; isOpen; ) {
        const result = await progress.next();
        isOpen = result.ended === "open";
        yield result;
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      request.end(); // where the caller's loop was left
      this.waiting.delete(request);
    }
  }

  async close(): Promise<void> {
    this.closed ??= new DmaeError("argument", "certify: this certifier is closed; create another");
    await Promise.allSettled(this.reading);
    await this.shared.idle();
    await this.check?.end();
  }

  private async read(x: ImageInput): Promise<FloatArray> {
    const { shape, range } = this.options;
    const isBare = !(typeof x === "object" && x !== null && "shape" in x);
    const image = await readImage("certify", x, {
      ...(isBare && { shape }),
      ...(range && { range }),
    });
    if (String(image.shape) === String(shape)) return image.data;
    throw new DmaeError("shape", `certify: x must have shape [${shape}], got [${image.shape}]`);
  }

  /** The input of a request, if there is room for one more; from here on it counts as under way. */
  private async admitted(x: ImageInput): Promise<FloatArray> {
    const { maxRequests } = this.numbers;
    if (this.fault ?? this.closed) throw this.fault ?? this.closed;
    if (this.waiting.size + this.reading.size >= maxRequests)
      throw new DmaeError(
        "unsupported",
        `certify: ${maxRequests} requests are under way, the most that this certifier takes; try again later`,
        { busy: true },
      );
    const image = this.read(x);
    this.reading.add(image);
    try {
      return await image;
    } finally {
      this.reading.delete(image);
    }
  }

  private open(image: FloatArray, given: CertifierRequest, progress: Progress): Request {
    const { radius = Number.POSITIVE_INFINITY, seed = freshSeed() } = given;
    const { every = Number.POSITIVE_INFINITY } = given;
    if (this.fault) throw this.fault;
    this.image ??= image;
    const request = new Request(
      image,
      this.noiseOf(seed),
      seed,
      { ...this.numbers, radius, every },
      (result) => {
        if (result.ended !== "open") this.waiting.delete(request);
        progress.tell(result);
      },
    );
    this.waiting.set(request, progress);
    return request;
  }

  private noiseOf(seed: Seed) {
    const { sigma, sound = false } = this.options;
    return localNoise("createCertifier", { sigma, seed, sound });
  }

  /** Checks rows before the first batch, and then now and again; what fails closes the certifier. */
  private async checkSometimes(): Promise<void> {
    const count = this.batches++;
    if (!this.check || count % CHECK_EVERY !== 0) return;
    try {
      if (count > 0) await this.check.end();
      else
        await this.check.begin({
          ...{ image: this.image!, index: 0, batch: new Float32Array(0), rows: 0 },
        });
    } catch (error) {
      this.fault = error;
      throw error;
    }
  }
}

function checkRequest(given: CertifierRequest): void {
  checkOptions("certify", given, requestNames);
  const { deadline, radius, every } = given;
  if (deadline !== undefined) checkPositive("certify", "deadline", deadline);
  if (radius !== undefined) checkPositive("certify", "radius", radius);
  if (every !== undefined) checkInteger("certify", "every", every);
  if (deadline !== undefined && deadline >= 2 ** 31)
    throw new DmaeError(
      "argument",
      `certify: deadline must be below 2^31 milliseconds, got ${deadline}`,
    );
}
