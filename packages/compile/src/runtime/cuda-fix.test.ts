import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { expect, it } from "vitest";
import { compile } from "../index.ts";
import { cudaFix, explainRun } from "./cuda-fix.ts";

it.each([
  ["Failed to load shared library", "run npx @dmae/native link onnxruntime --gpu"],
  [
    "Failed to load library …/libonnxruntime_providers_shared.so",
    "run npx @dmae/native link onnxruntime --gpu",
  ],
  ["CUDA failure 35: CUDA driver version is insufficient", "install NVIDIA's driver 580 or newer"],
  ["CUDA failure 2: out of memory ; GPU=0", "another process uses the card"],
])("%s: %s", (reason, fix) => {
  expect(cudaFix(reason)).toContain(fix);
  expect(cudaFix(reason)).toContain("npx @dmae/native doctor");
});

it("names the command where this machine has no CUDA provider", async () => {
  if (ort.listSupportedBackends().some(({ name, bundled }) => name === "cuda" && bundled)) return;
  const program = compile(({ x }) => tf.square(x!), { x: [2] }, { provider: "cuda" });
  await expect(program).rejects.toThrow(
    /^compile: .*npx @dmae\/native (link onnxruntime --gpu|doctor)/,
  );
});

it("says how much memory was missing, and which batch to try", () => {
  const reason = "Failed to allocate memory for requested buffer of size 4294967296";
  expect(explainRun(reason, 256)).toBe(
    `the device's memory ran out (a buffer took 4096 MiB more than there were); try batch 128, or end other processes on it: ${reason}`,
  );
  expect(explainRun("CUDA failure 2: out of memory", 1)).toContain("use a smaller batch");
  expect(explainRun("Non-zero status code", 8)).toBe("Non-zero status code");
});

it("begins with the call that failed", () => {
  const reason =
    "cuda_call.cc:154 std::conditional_t<THRW, void, Status> CudaCall(ERRTYPE) CUDA failure 801: operation not supported ; GPU=-1 ; expr=cudaSetDevice(0); ";
  expect(explainRun(reason, 8)).toBe(
    "CUDA failure 801: operation not supported ; GPU=-1 ; expr=cudaSetDevice(0);",
  );
});

it("is what a failed run says", async () => {
  const onnxruntime = {
    Tensor: ort.Tensor,
    InferenceSession: {
      create: async () => ({
        run: () => Promise.reject(new Error("requested buffer of size 1048576")),
        release: async () => {},
      }),
    },
  };
  const program = await compile(({ x }) => tf.square(x!), { x: [6, 2] }, { onnxruntime });
  await expect(program({ x: new Float32Array(12) })).rejects.toThrow(
    "compile: ONNX Runtime failed: the device's memory ran out (a buffer took 1 MiB more than there were); try batch 3",
  );
});
