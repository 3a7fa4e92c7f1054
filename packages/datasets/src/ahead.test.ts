import { expect, test } from "vitest";
import { ahead } from "./ahead.ts";

test("results come in order, at most eight under way", async () => {
  let under = 0;
  let most = 0;
  const results: number[] = [];
  for await (const result of ahead(3, 30, async (index) => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setTimeout(resolve, (index * 7) % 5));
    under--;
    return index;
  }))
    results.push(result);
  expect(results).toEqual(Array.from({ length: 27 }, (_, i) => i + 3));
  expect(most).toBe(8);
});

test("an error comes at its place, and the ones after it do no harm", async () => {
  const seen: number[] = [];
  const read = async () => {
    for await (const result of ahead(0, 10, (index) => {
      if (index >= 4) throw new Error(`number ${index}`);
      return index;
    }))
      seen.push(result);
  };
  await expect(read()).rejects.toThrow("number 4");
  expect(seen).toEqual([0, 1, 2, 3]);
});
