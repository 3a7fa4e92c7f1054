import { getBackend } from "@tensorflow/tfjs-core";
import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs, without any TensorFlow.js backend", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  const calls = log.mock.calls.map((call) => [...call]);
  log.mockRestore();
  expect(calls[0]).toEqual([Float32Array.of(4, 9)]);
  const losses = calls.slice(1, 5).map(([, loss]) => loss as number);
  expect(losses[3]!).toBeLessThan(0.5 * losses[0]!);
  const [[, float], [, int8]] = calls.slice(5, 7) as [[string, number], [string, number]];
  expect(float).not.toBe(int8);
  expect(Math.abs(float - int8)).toBeLessThan(0.15);
  expect(calls[7]![0]).toBeGreaterThan(4 * 2 * 128 * 32);
  expect(getBackend() ?? null).toBeNull();
});
