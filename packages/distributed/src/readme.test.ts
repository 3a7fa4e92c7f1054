import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  expect(log.mock.calls).toEqual([["1 ranks, sum 1"]]);
  log.mockRestore();
});
