import { expect, it } from "vitest";
import { percentText } from "./percent.ts";

it.each([
  [9995 / 10_000, "99.95"],
  [99_999 / 100_000, "99.999"],
  [1 / 10_000, "0.01"],
  [1, "100.0"],
  [0, "0.0"],
  [0.785, "78.5"],
  [1 - 1e-14, "99.999999999"],
])("%s reads %s %%", (share, text) => {
  expect(percentText(share)).toBe(text);
});
