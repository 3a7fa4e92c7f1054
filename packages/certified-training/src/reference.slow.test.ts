import "@tensorflow/tfjs-backend-cpu";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { compiledExecutor } from "@dmae/compile";
import { type Executor, eagerExecutor } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, it } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectRecordedRun } from "./testing/compare-run.ts";
import { type RecordedCase, recordedMethods } from "./testing/reference-run.ts";

// All recorded runs of the official implementations, 3 MB, where they are; official.test.ts runs the committed part.
const reference = new URL("../../../../shared/reference/methods/", import.meta.url);
const executors: Record<string, () => Executor> = {
  eager: () => eagerExecutor(),
  standard: () => compiledExecutor({ kernels: "standard" }),
  generated: () => compiledExecutor({ kernels: "generated" }),
};

const cases = recordedMethods.flatMap((method) => {
  const folder = new URL(`${method}/`, reference);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /^case-.*\.json$/.test(name));
  return names.map((name) => `${method}/${name.slice(0, -".json".length)}`);
});

describe.skipIf(cases.length === 0).each(Object.keys(executors))("recorded runs, %s", (how) => {
  beforeAll(async () => {
    await tf.setBackend("cpu");
  });

  it.each(cases)("%s", async (name) => {
    const run: RecordedCase = JSON.parse(readFileSync(new URL(`${name}.json`, reference), "utf8"));
    const single = readFixture(new URL(`${name}.safetensors`, reference));
    const initial =
      run.model === "lenet" ? readFixture(new URL("lenet-init.safetensors", reference)) : single;
    const path = new URL(`${name}.f64.safetensors`, reference);
    const double = existsSync(path) ? readFixture(path) : null;
    await expectRecordedRun(executors[how]!(), run, { single, double, initial });
  });
});
