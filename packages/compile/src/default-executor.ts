import { DmaeError } from "@dmae/core";
import { type Executor, eagerExecutor, selectBackend } from "@dmae/nn";
import { compiledExecutor } from "./compiled-executor.ts";
import { loadRuntime } from "./runtime/runtime.ts";

/**
 * The executor for this machine: compiled if ONNX Runtime is installed (`onnxruntime-node`, in browsers
 * `onnxruntime-web`), else eager on the fastest TensorFlow.js backend that is installed.
 *
 * @example
 * const executor = await defaultExecutor();
 */
export async function defaultExecutor(): Promise<Executor> {
  try {
    await loadRuntime("defaultExecutor", {});
    return compiledExecutor();
  } catch (error) {
    if (!DmaeError.isInstance(error, "unsupported")) throw error;
    await selectBackend("auto");
    return eagerExecutor();
  }
}
