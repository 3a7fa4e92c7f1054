import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { expect, it } from "vitest";
import { compile } from "../index.ts";
import { parseCardMemory } from "./card-memory.ts";
import { cudaFix, explainRun, isMemorySpent } from "./cuda-fix.ts";

// Texts of ONNX Runtime 1.30 with the linked provider (a stand-in for the driver gave the numbers), and of reports at
// github.com/microsoft/onnxruntime (issues 8381, 9939, 11996, 14211, 16307, 20038) and pykeio/ort (467).
const call = "cuda_call.cc:129 std::conditional_t<THRW, void, Status> CudaCall(ERRTYPE) ";
const library = "Failed to load library …/libonnxruntime_providers_cuda.so with error: ";

it.each([
  ["Failed to load shared library", "run npx @dmae/native link onnxruntime --gpu"],
  [
    "Failed to load library …/libonnxruntime_providers_shared.so",
    "run npx @dmae/native link onnxruntime --gpu",
  ],
  [
    `${library}libcublasLt.so.13: cannot open shared object file: No such file or directory`,
    "run npx @dmae/native link onnxruntime --gpu",
  ],
  [
    `${library}libcuda.so.1: cannot open shared object file: No such file or directory`,
    "install NVIDIA's driver 580 or newer",
  ],
  [
    `${call}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; expr=cudaSetDevice(0);`,
    "install NVIDIA's driver 580 or newer",
  ],
  [
    `${call}CUDA failure 222: the provided PTX was compiled with an unsupported toolchain. ; GPU=0`,
    "install NVIDIA's driver 580 or newer",
  ],
  [`${call}CUDA failure 100: no CUDA-capable device is detected ; GPU=-1`, "nvidia-smi -L"],
  [`${call}CUDA failure 2: out of memory ; GPU=0`, "another process uses the card"],
  [
    `${call}CUDA failure 46: all CUDA-capable devices are busy or unavailable`,
    "another process uses the card",
  ],
  [`${call}CUDA failure 3: initialization error ; GPU=140341504`, "restart the machine"],
  [`${call}CUDA failure 999: unknown error ; GPU=192915439`, "restart the machine"],
  [`${call}CUDA failure 802: system not yet initialized ; GPU=0`, "nvidia-fabricmanager"],
  [
    "CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
    'use provider "webgpu"',
  ],
  [
    `${call}CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0 ; expr=cudnnCreate(&cudnn_handle_);`,
    "unset LD_LIBRARY_PATH",
  ],
  [`${library}undefined symbol: Provider_GetHost, version VERS_1.0`, "unset LD_LIBRARY_PATH"],
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

const arena =
  "Non-zero status code returned while running FusedMatMul node. Name:'MatMul_92' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 8388608000";

it("says how much memory was needed, and which batch to try", () => {
  expect(isMemorySpent(arena)).toBe(true);
  expect(explainRun(arena, 256)).toBe(
    `the device's memory ran out (a buffer of 8000 MiB did not fit); try batch 128, or end other processes on it: ${arena}`,
  );
  expect(explainRun(arena, 256, { total: 24564, used: 20000, own: 17000 })).toContain(
    "(a buffer of 8000 MiB did not fit; at least 25000 MiB are needed, and of 24564 MiB other processes hold 3000)",
  );
  expect(explainRun("CUDA failure 2: out of memory", 1, { total: 100, used: 99 })).toBe(
    "the device's memory ran out (99 of 100 MiB are in use); use a smaller batch, or end other processes on it: CUDA failure 2: out of memory",
  );
  expect(explainRun("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", 8)).toContain("try batch 4");
  expect(explainRun("Non-zero status code", 8)).toBe("Non-zero status code");
});

it("takes no other failure for one of memory", () => {
  for (const reason of [
    "CUDA failure 3: initialization error",
    "CUDNN failure 3000",
    "CUDA failure 35",
  ])
    expect(isMemorySpent(reason)).toBe(false);
});

it("says that a process must start again", () => {
  const reason = "CUDA failure 700: an illegal memory access was encountered ; GPU=0";
  expect(explainRun(reason, 8)).toBe(
    `the card no longer serves this process; start it again, from its last checkpoint: ${reason}`,
  );
});

it("reads what the driver says about memory", () => {
  const card = "81559, 3012\n";
  const processes = "4711, 2900\n815, [N/A]\n";
  expect(parseCardMemory(card, processes, 4711)).toEqual({ total: 81559, used: 3012, own: 2900 });
  expect(parseCardMemory(card, processes, 815)).toEqual({ total: 81559, used: 3012 });
  expect(parseCardMemory(card, "", 1)).toEqual({ total: 81559, used: 3012 });
  expect(parseCardMemory("[N/A], [N/A]", "", 1)).toBeUndefined();
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
    "compile: ONNX Runtime failed: the device's memory ran out (a buffer of 1 MiB did not fit); try batch 3",
  );
});
