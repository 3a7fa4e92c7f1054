import { expect, test } from "vitest";
import * as api from "./index.ts";

const calls: Record<string, (options: never) => Promise<unknown>> = {
  doctor: (options) => api.doctor(options),
  linkOnnxRuntime: (options) => api.linkOnnxRuntime(options),
  linkTensorFlow: (options) => api.linkTensorFlow(options),
  unlinkOnnxRuntime: (options) => api.unlinkOnnxRuntime(options),
  unlinkTensorFlow: (options) => api.unlinkTensorFlow(options),
};
const others = ["NativeError"];

test("every export is known to take options or not", () => {
  expect([...Object.keys(calls), ...others].sort()).toEqual(Object.keys(api).sort());
});

test.each(Object.entries(calls))("%s refuses unknown names", async (name, call) => {
  await expect(call({ projekt: "." } as never)).rejects.toThrow(
    `${name}: unknown option "projekt"; known: project`,
  );
  await expect(call(0 as never)).rejects.toMatchObject({ code: "argument" });
});
