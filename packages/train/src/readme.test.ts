import { expect, test, vi } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  expect(log.mock.calls).toHaveLength(1);
  const [first, second, bias] = log.mock.calls[0] as number[];
  expectClose([first!, second!, bias!], [3, -2, 1], { absolute: 0.1 });
  log.mockRestore();
});
