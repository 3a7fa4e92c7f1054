import { defaultExecutor } from "@dmae/compile/executors";
import { DmaeError, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, Model, Program } from "@dmae/nn";
import type { Tensor } from "@tensorflow/tfjs-core";

/** A batch of images in, class scores out. */
export type LogitsProgram = Program<
  { readonly images: readonly number[] },
  { readonly logits: Tensor }
>;

/** A trained model as the classifier that `certify` of `@dmae/smoothing-certify` takes. */
export interface ReadyClassifier {
  /** It takes flat arrays. */
  readonly input: "array";
  /** Images in a batch; shorter batches are padded by whoever calls. */
  readonly fixedBatchSize: number;
  /** Number of classes. */
  readonly numClasses: number;
  /** A hash of the parameters, which tells it from others in logs. */
  readonly fingerprint: string;
  /** Class scores `[batch, numClasses]` of `[batch, H, W, C]` images in [0, 1], noise included. */
  predict(images: Float32Array): Promise<{
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data: Float32Array | Int32Array | Uint8Array;
  }>;
  /** Frees the program that the first `predict` prepared. */
  dispose(): Promise<void>;
}

/** What a trained classifier can be turned into. */
export interface TrainedClassifier {
  /**
   * The classifier as a program, for `compile`, `quantize` and `exportOnnx` of `@dmae/compile`.
   *
   * @param options `batchSize`: images in a batch, default 1 (`exportOnnx(…, { dynamicBatch: true })` leaves it open)
   */
  program(options?: { readonly batchSize?: number }): LogitsProgram;
  /**
   * The classifier for `certify`; it is compiled when it is first used.
   *
   * @param options `batchSize`: noisy images in a batch, default 64; `executor`, default the one that trained
   */
  classifier(options?: {
    readonly batchSize?: number;
    readonly executor?: Executor;
  }): ReadyClassifier;
}

/** Ways to use the trained parameters of a model. */
export function trainedClassifier(
  model: Model,
  params: HostTensors,
  defaults: { readonly executor?: Executor } = {},
): TrainedClassifier {
  const program = (options: { readonly batchSize?: number } = {}): LogitsProgram => {
    checkOptions("program", options, { batchSize: true });
    return {
      fn: ({ images, ...rest }) => ({ logits: model.apply(rest, images).logits }),
      specs: { images: [checkedBatch(options.batchSize ?? 1), ...model.imageShape] },
      constants: params,
    };
  };
  return {
    program,
    classifier(options = {}) {
      checkOptions("classifier", options, { batchSize: true, executor: true });
      const { batchSize = 64, executor = defaults.executor } = options;
      const load = async (chosen: Executor | Promise<Executor>) =>
        (await chosen).prepareFunction(program({ batchSize }));
      let ready: ReturnType<typeof load> | undefined;
      return {
        input: "array",
        fixedBatchSize: checkedBatch(batchSize),
        numClasses: model.numClasses,
        fingerprint: `params ${hashOf(params)}`,
        async predict(images) {
          ready ??= load(executor ?? defaultExecutor());
          return (await (await ready)({ images })).logits;
        },
        async dispose() {
          (await ready)?.dispose();
          ready = undefined;
        },
      };
    },
  };
}

function checkedBatch(batchSize: number): number {
  if (Number.isSafeInteger(batchSize) && batchSize >= 1) return batchSize;
  throw new DmaeError(
    "argument",
    `classifier: batchSize must be a positive integer, got ${batchSize}`,
  );
}

/** 64 bits of FNV-1a over names and values, in two lanes. */
function hashOf(params: HostTensors): string {
  let [low, high] = [0x811c9dc5, 0x9e3779b9];
  const add = (word: number) => {
    low = Math.imul(low ^ word, 0x01000193);
    high = Math.imul(high ^ (word + 0x85ebca6b), 0x01000193) ^ (high >>> 15);
  };
  for (const [name, { data }] of Object.entries(params)) {
    for (let i = 0; i < name.length; i++) add(name.charCodeAt(i));
    const { buffer, byteOffset, byteLength } = data;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const words = byteLength >> 2;
    const whole = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, words) : undefined;
    if (whole) for (let i = 0; i < words; i++) add(whole[i]!);
    for (let i = whole ? 4 * words : 0; i < byteLength; i++) add(bytes[i]!);
  }
  const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
  return hex(high) + hex(low);
}
