import { defaultExecutor } from "@dmae/compile/executors";
import type { HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Executor, Model, Program } from "@dmae/nn";
import { checksum } from "@dmae/train/tasks";
import type { Tensor } from "@tensorflow/tfjs-core";
import { checkBatchSize } from "./evaluation-checks.ts";
import type { ProgramUse } from "./program-use.ts";

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
  program(options?: { readonly batchSize?: number | undefined }): LogitsProgram;
  /** The classifier for `certify`; it is compiled when it is first used. */
  classifier(use?: ProgramUse): ReadyClassifier;
}

/**
 * A model with its parameters, e.g. those of a checkpoint, as the classifier that `certify` takes; it is compiled when
 * it is first used.
 *
 * @param model `createViT(…)`, a network of `@dmae/convnet`, or a model of your own
 * @param params its parameters by name, as `fromPretrained`, `robustFinetune` and `model.initHost` give them
 * @returns dispose of it when done
 * @throws {DmaeError} "argument" for a bad batch size
 * @example
 * const classifier = prepareClassifier(vit, params);
 * const { prediction, radius } = await certify(classifier, image, { sigma: 0.25, shape: [28, 28, 1] });
 */
export function prepareClassifier(
  model: Model,
  params: HostTensors,
  use: ProgramUse = {},
): ReadyClassifier {
  checkOptions("prepareClassifier", use, { batchSize: true, executor: true });
  return trainedClassifier(model, params).classifier(use);
}

/** Ways to use the trained parameters of a model. */
export function trainedClassifier(
  model: Model,
  params: HostTensors,
  defaults: { readonly executor?: Executor | undefined } = {},
): TrainedClassifier {
  const program = (options: { readonly batchSize?: number | undefined } = {}): LogitsProgram => {
    checkOptions("program", options, { batchSize: true });
    const { batchSize = 1 } = options;
    checkBatchSize("program", batchSize);
    return {
      fn: ({ images, ...rest }) => ({ logits: model.apply(rest, images).logits }),
      specs: { images: [batchSize, ...model.imageShape] },
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
      checkBatchSize("classifier", batchSize);
      let ready: ReturnType<typeof load> | undefined;
      return {
        input: "array",
        fixedBatchSize: batchSize,
        numClasses: model.numClasses,
        fingerprint: `params ${checksum(params)}`,
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
