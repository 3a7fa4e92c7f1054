import { execFileSync } from "node:child_process";
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

test("auto takes the first that works and says why not the others", async () => {
  const reports: BackendReport[] = [];
  const chosen = await selectBackend("auto", { onReport: (report) => reports.push(report) });
  expect(tf.getBackend()).toBe(chosen);
  expect(reports).toHaveLength(1);
  const { backend, tried } = reports[0]!;
  expect(backend).toBe(chosen);
  expect(tried.at(-1)).toEqual({ backend: chosen, outcome: "selected" });
  const order = ["tensorflow", "webgpu", "wasm", "cpu"];
  expect(tried.map((entry) => entry.backend)).toEqual(order.slice(0, tried.length));
  for (const { outcome } of tried.slice(0, -1)) expect(outcome.length).toBeGreaterThan(10);
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
