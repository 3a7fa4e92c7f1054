import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";
import { modelCards } from "./pretrained.ts";

test("the example of the README runs and prints what it says", async () => {
  const example = new URL("./readme.example.ts", import.meta.url);
  expectReadmeExample(new URL("../README.md", import.meta.url), example);
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  expect(log.mock.calls).toEqual([["Ankle boot", true, "0.616"]]);
  log.mockRestore();
});

test("the README's table shows the cards", async () => {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  for (const { name, certified } of modelCards) {
    const accuracy = ["0", "0.25", "0.5", "0.75"].map((radius) =>
      (certified.accuracy[radius] ?? 0).toFixed(1),
    );
    expect(text).toContain(
      `| \`${name}\` | Fashion-MNIST | ${accuracy.join(" / ")} | ${certified.averageCertifiedRadius.toFixed(3)} |`,
    );
  }
});
