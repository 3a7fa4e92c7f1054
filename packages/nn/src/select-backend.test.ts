import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { type BackendReport, selectBackend } from "./index.ts";
import { restoreUtilFunctions } from "./select-backend.ts";

test("a named backend is loaded, made current and ready", async () => {
  expect(await selectBackend("cpu")).toBe("cpu");
  expect(tf.getBackend()).toBe("cpu");
  expect(await selectBackend("wasm")).toBe("wasm");
  expect(tf.getBackend()).toBe("wasm");
  expect(tf.tidy(() => tf.square(tf.scalar(3)).dataSync()[0])).toBe(9);
});

test("choosing a backend prints nothing, not even the advertisement of tfjs on cpu", () => {
  const script = `
    const { selectBackend } = await import("@dmae/nn");
    const tf = await import("@tensorflow/tfjs-core");
    await selectBackend("cpu");
    tf.scalar(1).dispose();`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--no-warnings", "--input-type=module", "-e", script],
    { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" },
  );
  expect({ stdout, stderr, status }).toEqual({ stdout: "", stderr: "", status: 0 });
});

test("auto measures what is installed, takes the fastest and says so in one line", async () => {
  const reports: BackendReport[] = [];
  const tensors = tf.memory().numTensors;
  const chosen = await selectBackend("auto", { onReport: (report) => reports.push(report) });
  expect(tf.memory().numTensors).toBe(tensors);
  expect(tf.getBackend()).toBe(chosen);
  expect(reports).toHaveLength(1);
  const { backend, tried, reason } = reports[0]!;
  expect(backend).toBe(chosen);
  expect(tried.map((entry) => entry.backend)).toEqual(["tensorflow", "webgpu", "wasm", "cpu"]);
  const usable = tried.filter(({ milliseconds }) => milliseconds !== undefined);
  expect(usable.map((entry) => entry.backend)).toEqual(expect.arrayContaining(["wasm", "cpu"]));
  const least = Math.min(...usable.map(({ milliseconds }) => milliseconds!));
  expect(tried.find((entry) => entry.backend === chosen)!.milliseconds).toBe(least);
  for (const { outcome } of tried) expect(reason).toContain(outcome);
  expect(reason).toMatch(new RegExp(`^${chosen}: [0-9.]+ ms for a product of two 256 x 256`));
});

test("a backend that computes wrong numbers or fails is not chosen, however fast", async () => {
  await selectBackend("cpu");
  const matMul = tf.getKernel("BatchMatMul", "wasm");
  const restore = () => {
    tf.unregisterKernel("BatchMatMul", "wasm");
    tf.registerKernel(matMul);
  };
  const replace = (kernelFunc: tf.KernelFunc) => {
    tf.unregisterKernel("BatchMatMul", "wasm");
    tf.registerKernel({ kernelName: "BatchMatMul", backendName: "wasm", kernelFunc });
  };
  const outcomeOfWasm = async () => {
    const reports: BackendReport[] = [];
    expect(await selectBackend("auto", { onReport: (report) => reports.push(report) })).not.toBe(
      "wasm",
    );
    return reports[0]!.tried.find(({ backend }) => backend === "wasm")!.outcome;
  };
  const tensors = tf.memory().numTensors;
  try {
    replace(({ inputs, backend }) => {
      const { shape, dtype } = inputs.a as tf.TensorInfo;
      const wrong = new Float32Array(tf.util.sizeFromShape(shape)).fill(1);
      wrong[7] = 1.0001;
      return { dataId: (backend as tf.KernelBackend).write(wrong, shape, dtype), shape, dtype };
    });
    expect(await outcomeOfWasm()).toBe("it computes wrong numbers");
    replace(() => {
      throw new Error("no device");
    });
    expect(await outcomeOfWasm()).toBe("its first matrix product failed (no device)");
    expect(tf.memory().numTensors).toBe(tensors);
  } finally {
    restore();
  }
});

test("the names of the native packages mean their backend", async () => {
  const native = selectBackend("tfjs-node").then(
    (backend) => backend,
    (error: Error) => error.message,
  );
  expect(await native).toMatch(
    /^tensorflow$|"tfjs-node" cannot be used here \(tensorflow: .*npm install/,
  );
});

test("what cannot be used is an error that says what to install or what is known", async () => {
  await expect(selectBackend("webgl9")).rejects.toThrow(
    /selectBackend: "webgl9" cannot be used here.*auto, tensorflow, webgpu, wasm, cpu/,
  );
  await expect(selectBackend("webgpu")).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringMatching(
      /webgpu: .*; install it with "npm install @tensorflow\/tfjs-backend-webgpu"/,
    ),
  });
});

test("util functions that Node 23 dropped come back for tfjs-node, where they are missing only", () => {
  restoreUtilFunctions();
  const script = `const u = require("node:util"); console.log(typeof u.isNullOrUndefined)`;
  expect(execFileSync(process.execPath, ["-e", script]).toString().trim()).toMatch(
    /function|undefined/,
  );
  const util = process.getBuiltinModule("node:util") as unknown as {
    isNullOrUndefined(value: unknown): boolean;
  };
  expect([null, undefined, 0, ""].map((v) => util.isNullOrUndefined(v))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
