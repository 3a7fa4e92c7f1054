import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs: a loss, an accuracy, a gradient", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  const [loss, accuracy, shape] = log.mock.calls[0] as [number, number, number[]];
  log.mockRestore();
  expect(loss).toBeGreaterThan(0.1);
  expect([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]).toContain(accuracy);
  expect(shape).toEqual([2, 16]);
});
