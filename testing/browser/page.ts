// The page of the browser lane: makes the checks callable from outside.
import "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import * as checks from "./checks.ts";

tf.env().set("WEBGPU_CPU_FORWARD", false); // else small tensors are computed on the cpu
Object.assign(globalThis, { checks });
