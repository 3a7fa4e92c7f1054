import { Graph } from "../graph/graph.ts";
import { encodeModel } from "../onnx/onnx-model.ts";
import type { LoadedRuntime, RuntimeSession, RuntimeTensor } from "./runtime.ts";

// onnxruntime-node writes into the output tensors that it is given, and then copies each of them into a new array for
// its result. For a training step that is the whole state, a gigabyte and a sixth of the step's time for ViT-B. It
// makes the results in the order of the graph's outputs and rejects the run at one that it cannot represent. So the
// graph gets one more output, the first: an empty sequence. The run then ends with that refusal after everything
// has been computed and before anything is copied.

/** The name of the output whose refusal ends a run before the copies. */
export const MARKER = "end";

const REFUSAL = "Non tensor type is temporarily not supported.";

/** True for the error with which onnxruntime-node refuses the marker, having computed all outputs. */
const isRefusal = (error: unknown) => error instanceof Error && error.message === REFUSAL;

/** Runs a model that has the marker and returns `into`, which holds the outputs; nothing is copied. */
export async function runWithoutCopies(
  session: RuntimeSession,
  feeds: Record<string, RuntimeTensor>,
  into: Record<string, RuntimeTensor>,
): Promise<Record<string, RuntimeTensor>> {
  try {
    return await session.run(feeds, { [MARKER]: null, ...into });
  } catch (error) {
    if (isRefusal(error)) return into;
    throw error;
  }
}

const known = new WeakMap<object, Promise<boolean>>();

/** Whether this ONNX Runtime ends a run at the marker, with all outputs written: tried once, on two numbers. */
export function endsAtMarker(runtime: LoadedRuntime): Promise<boolean> {
  const { InferenceSession } = runtime;
  const found = known.get(InferenceSession) ?? tryMarker(runtime);
  known.set(InferenceSession, found);
  return found;
}

async function tryMarker({ InferenceSession, Tensor }: LoadedRuntime): Promise<boolean> {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const outputs = [graph.add("Neg", [x])];
  const { bytes } = encodeModel({ graph, outputs, outputNames: ["y"], emptySequence: MARKER });
  const tensor = (data: Float32Array) => new Tensor("float32", data, [2]);
  const y = new Float32Array(2);
  try {
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 });
    const into = { y: tensor(y) };
    const results = await runWithoutCopies(session, { x: tensor(Float32Array.of(3, -4)) }, into);
    await session.release();
    return results === into && y[0] === -3 && y[1] === 4;
  } catch {
    return false;
  }
}
