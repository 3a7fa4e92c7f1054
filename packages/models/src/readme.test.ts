import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";
import { modelCards } from "./pretrained.ts";

test("the example of the README runs and prints what it says", async () => {
  const example = new URL("./readme.example.ts", import.meta.url);
  for (const readme of ["../README.md", "../../../README.md"])
    expectReadmeExample(new URL(readme, import.meta.url), example);
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  expect(log.mock.calls).toEqual([["Ankle boot", true, expect.any(Number)]]);
  const radius = log.mock.calls[0]![2]; // fresh noise: about one vote in 10,000 goes elsewhere
  expect(radius).toBeGreaterThan(0.7);
  expect(radius).toBeLessThan(0.8);
  log.mockRestore();
});

test("the README's table shows the cards", async () => {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  for (const { name, certified } of modelCards) {
    const { images, accuracy, averageCertifiedRadius } = certified;
    const shares = ["0", "0.25", "0.5", "0.75", "1", "1.5"].map((radius) =>
      (accuracy[radius] ?? 0).toFixed(1),
    );
    const cells = [`\`${name}\``, images, ...shares, averageCertifiedRadius.toFixed(3)];
    expect(text).toContain(`| ${cells.join(" | ")} |`);
  }
});
