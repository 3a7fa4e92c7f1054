import "@tensorflow/tfjs-backend-cpu";
import { compiledExecutor } from "@dmae/compile";
import { type Executor, eagerExecutor } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, it } from "vitest";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectRecordedRun } from "./testing/compare-run.ts";
import {
  type RecordedCase,
  type RecordedTensors,
  recordedMethods,
} from "./testing/reference-run.ts";

// Two steps of the official implementations on random images; the fixtures say which command made them.
const executors: Record<string, () => Executor> = {
  eager: () => eagerExecutor(),
  compiled: () => compiledExecutor({ kernels: "standard" }),
};

const cases = recordedMethods.flatMap((method) => {
  const fixture = readFixture(new URL(`./__fixtures__/${method}.safetensors`, import.meta.url));
  return Object.entries(fixture.metadata).flatMap(([key, text]) => {
    if (!key.startsWith("case ")) return [];
    const run: RecordedCase = JSON.parse(text);
    const prefix = `${run.name}/`;
    const tensors: RecordedTensors = {
      names: fixture.names.filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length)),
      get: (name) => fixture.get(prefix + name),
    };
    return [{ name: `${method} ${run.name}`, run, tensors }];
  });
});

describe.each(Object.keys(executors))("losses, attacks, gradients and steps, %s", (how) => {
  beforeAll(async () => {
    await tf.setBackend("cpu");
  });

  it.each(cases)("$name", async ({ run, tensors }) => {
    await expectRecordedRun(executors[how]!(), run, { single: tensors, double: tensors });
  });
});
