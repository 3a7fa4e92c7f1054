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
  const losses = calls.slice(0, 4).map(([, loss]) => loss as number);
  expect(losses[3]!).toBeLessThan(0.5 * losses[0]!);
  const [[, float], [, int8]] = calls.slice(4, 6) as [[string, number], [string, number]];
  expect(float).not.toBe(int8);
  expect(Math.abs(float - int8)).toBeLessThan(0.15);
  expect(calls[6]![0]).toBeGreaterThan(4 * 2 * 128 * 32);
  expect(getBackend() ?? null).toBeNull();
});
