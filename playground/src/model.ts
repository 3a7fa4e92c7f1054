// The model in use, on ONNX Runtime in this worker.
import { type ModelCard, type PretrainedClassifier, pretrained } from "@dmae/models";
import { fromOnnx, type LoadedClassifier } from "@dmae/smoothing-certify";
import type { ModelChoice, ModelFacts } from "./messages.ts";

/** A loaded model. */
export interface Model {
  readonly classifier: LoadedClassifier;
  readonly facts: ModelFacts;
  /** A shipped one, whose parameters are there too. */
  readonly shipped?: PretrainedClassifier;
}

/** ONNX Runtime with its files beside the page; threads only where the page is isolated. */
async function runtime(gpu: boolean) {
  const ort = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  ort.env.wasm.wasmPaths = new URL("../ort/", import.meta.url).href;
  if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
  const session = { executionProviders: gpu ? ["webgpu", "wasm"] : ["wasm"], logSeverityLevel: 3 };
  return { ort, session };
}

/** Loads a model. */
export async function loadModel(choice: ModelChoice, gpu: boolean): Promise<Model> {
  const { ort, session } = await runtime(gpu);
  if ("shipped" in choice) {
    const shipped = await pretrained(choice.shipped, { onnxruntime: ort, session });
    return { classifier: shipped, facts: factsOf(shipped.card), shipped };
  }
  let input: readonly (number | string)[] | undefined;
  const create = async (...args: Parameters<typeof ort.InferenceSession.create>) => {
    const made = await ort.InferenceSession.create(...args);
    input = made.inputMetadata.find((value) => value.isTensor)?.shape;
    return made;
  };
  const onnxruntime = { Tensor: ort.Tensor, InferenceSession: { create } };
  const { file, mean, std } = choice;
  const classifier = await fromOnnx(file, { mean, std, session, onnxruntime });
  return { classifier, facts: { name: file.name, shape: shapeOf(input), hasGradient: false } };
}

const factsOf = ({ name, imageShape, classNames, sigma, training }: ModelCard): ModelFacts => ({
  ...{ name, shape: imageShape, classNames, sigma },
  hasGradient: "patchSize" in training.finetuning.model,
});

/** Height, width and channels of a model's input `[n, C, H, W]` or `[n, H, W, C]`. */
function shapeOf(input: readonly (number | string)[] = []): ModelFacts["shape"] {
  const [, a, b, c] = input.map(Number);
  const isFirst = a === 1 || a === 3;
  const shape = (isFirst ? [b, c, a] : [a, b, c]) as [number, number, number];
  if (input.length === 4 && shape.every((length) => length > 0) && shape[2] <= 3) return shape;
  throw new Error(
    `the model's input must be images of a fixed size, 1 or 3 channels, got [${input.join(", ")}]`,
  );
}
