import { compiledExecutor } from "@dmae/compile";
import { DmaeError, type World } from "@dmae/core";
import { nearestNames } from "@dmae/core/checks";
import { type Executor, eagerExecutor, selectBackend } from "@dmae/nn";
import { rankThreads } from "@dmae/train/tasks";
import type { Precision } from "./precision.ts";

const providers = ["cpu", "cuda", "webgpu"] as const;
const backends = ["tfjs-node-gpu", "tfjs-node", "webgpu", "wasm", "cpu"];
const compiled = ["compiled", ...providers.map((provider) => `compiled:${provider}`)];

/**
 * What runs the steps: `compiled[:cuda|:webgpu]` makes one ONNX graph of each, the others run op by op on a
 * TensorFlow.js backend, in float32.
 */
export async function executorOf(
  backend: string,
  precision: Precision = "float32",
  world?: World,
): Promise<Executor> {
  const provider = providers.find((name) => backend === `compiled:${name}`) ?? "cpu";
  const names = [...backends, ...compiled];
  if (!names.includes(backend))
    throw new DmaeError(
      "argument",
      `--backend: there is no ${backend}; the nearest are ${nearestNames(backend, names).join(", ")}`,
    );
  if (precision !== "float32" && !compiled.includes(backend))
    throw new DmaeError(
      "unsupported",
      `--precision: ${precision} needs --backend compiled, compiled:cuda or compiled:webgpu; TensorFlow.js has float32 only, got ${backend}`,
    );
  // tracing needs a backend of TensorFlow.js too, any will do
  await selectBackend(compiled.includes(backend) ? "cpu" : backend);
  if (!compiled.includes(backend)) return eagerExecutor();
  const threads = world && provider === "cpu" ? { threads: await rankThreads(world) } : {};
  return compiledExecutor({ provider, precision, ...threads });
}
