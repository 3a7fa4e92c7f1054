import { expect, test } from "vitest";
import { fuzz } from "./testing/fuzz-run.ts";

test("3000 damaged files load right or fail with a typed error", async () => {
  const { loaded, refused } = await fuzz(11, 3000);
  expect(loaded + refused).toBe(3000);
  expect(loaded).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(1000);
});
