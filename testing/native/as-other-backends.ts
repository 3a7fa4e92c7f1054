// Stands in for @tensorflow/tfjs-backend-cpu and -wasm in the native lane: whatever a test selects, TensorFlow computes.
import { selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("tensorflow");
const native = tf.backend();
for (const name of ["cpu", "wasm"]) {
  if (tf.findBackendFactory(name)) continue;
  tf.registerBackend(name, () => native);
  tf.copyRegisteredKernels("tensorflow", name);
}

/** tfjs-backend-wasm's: there is nothing to find. */
export const setWasmPaths = () => {};
