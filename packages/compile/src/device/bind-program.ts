import { nodeProcess, reportOnce } from "@dmae/core/native";
import { type NativeSessionSource, openNativeSession } from "../kernels/native-session.ts";
import { BoundProgram } from "./bound-program.ts";
import type { Device } from "./device.ts";

/**
 * Opens a session on a device and binds it to memory there. A step is recorded as CUDA graphs, unless `DMAE_CUDA_GRAPHS=off` or
 * ONNX Runtime refuses: every operator must run on the card, and shapes and addresses must stay
 * (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview).
 *
 * @param state names of inputs and outputs that are state; none for a function
 */
export function bindProgram(
  device: Device,
  source: NativeSessionSource,
  state: ReadonlySet<string>,
): BoundProgram {
  const isOff = nodeProcess?.env?.DMAE_CUDA_GRAPHS === "off";
  if (device.cuda && state.size > 0 && !isOff) {
    try {
      return open(device, source, state, true);
    } catch (error) {
      const reason = (error as Error).message;
      if (!reason.includes("graph capture")) throw error;
      reportOnce(`compile: working without CUDA graphs: ${reason}`);
    }
  }
  return open(device, source, state, false);
}

function open(
  device: Device,
  source: NativeSessionSource,
  state: ReadonlySet<string>,
  graphs: boolean,
): BoundProgram {
  const cuda = graphs ? { ...source.cuda, enable_cuda_graph: "1" } : source.cuda;
  const session = openNativeSession({ ...source, cuda });
  try {
    const { inputs, outputs } = source;
    return new BoundProgram(device, { session, inputs, outputs, state, graphs });
  } catch (error) {
    device.addon.release(session);
    throw error;
  }
}
