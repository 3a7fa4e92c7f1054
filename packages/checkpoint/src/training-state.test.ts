import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { encodeSafetensors, loadCheckpoint } from "./index.ts";
import { trainingState } from "./resume.ts";

const scalar = (value: number) =>
  ({ dtype: "float32", shape: [], data: new Float32Array([value]) }) as const;
const tensors = {
  "params.a.b": scalar(1),
  "optimizer.exp_avg.a.b": scalar(2),
  "gradients.a.b": scalar(3),
  "ema.a.b": scalar(4),
};
const open = async (metadata: Record<string, string>, entries: object = tensors) =>
  trainingState(await loadCheckpoint(encodeSafetensors(entries as typeof tensors, metadata)));

test("every part of a training checkpoint, whatever was selected", async () => {
  const run = { recipe: { epochs: 3 }, key: [1, 2] };
  const state = await open({ step: "7", run: JSON.stringify(run) });
  expect(state).toEqual({
    params: { "a.b": scalar(1) },
    optimizer: { "exp_avg.a.b": scalar(2) },
    gradients: { "a.b": scalar(3) },
    ema: { "a.b": scalar(4) },
    step: 7,
    run,
  });
  const bytes = encodeSafetensors(tensors, { step: "7" });
  const selected = await loadCheckpoint(bytes, { select: "ema" });
  expect(await trainingState(selected)).toEqual({ ...state, run: null });
});

test("other files are refused, with advice", async () => {
  const official = await loadCheckpoint(
    readFileSync(new URL("./__fixtures__/edge-zip.pth", import.meta.url)),
  );
  await expect(trainingState(official)).rejects.toMatchObject({
    code: "checkpoint",
    message: expect.stringContaining("optimizerState reads those of PyTorch"),
  });
  await expect(open({})).rejects.toMatchObject({ code: "checkpoint" });
  await expect(open({ step: "1" }, { a: scalar(1) })).rejects.toMatchObject({ code: "checkpoint" });
  await expect(open({ step: "1", run: "{" })).rejects.toThrow("must be JSON");
});
