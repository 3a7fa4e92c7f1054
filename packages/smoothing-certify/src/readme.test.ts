import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs, and its radius is the exact one from below", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  vi.spyOn(crypto, "getRandomValues").mockImplementation((bytes) => bytes); // a seed of zeros
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  await import("./readme.example.ts");
  const [prediction, radius] = log.mock.calls[0] as [number, number];
  vi.restoreAllMocks();
  expect(prediction).toBe(1);
  expect(radius).toBeLessThan(0.6 / Math.SQRT2); // distance from x to the diagonal
  expect(radius).toBeGreaterThan(0.395);
});
