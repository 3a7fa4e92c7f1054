import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs: its loss falls", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const losses: number[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((loss) => losses.push(loss as number));
  await import("./readme.example.ts");
  log.mockRestore();
  expect(losses).toHaveLength(20);
  for (let i = 1; i < 20; i++) expect(losses[i]!).toBeLessThan(losses[i - 1]!);
});
