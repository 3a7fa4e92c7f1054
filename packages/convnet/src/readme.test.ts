import * as tf from "@tensorflow/tfjs-core";
import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs and keeps nothing", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  expect(log.mock.calls).toEqual([[[16, 16, 3, 3]], [[2, 10]], [[16]], [[2, 32, 32, 3]]]);
  log.mockRestore();
  expect(tf.memory().numTensors).toBe(0);
});
