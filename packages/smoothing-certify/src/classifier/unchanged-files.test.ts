import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { fromOnnx } from "./from-onnx.ts";

const folder = temporaryFolders("unchanged-files");
const fixture = (name: string) =>
  fileURLToPath(new URL(`../__fixtures__/${name}`, import.meta.url));

/** A model whose weights lie beside it. */
function externalModel() {
  const place = folder();
  const model = join(place, "external.onnx");
  const weights = join(place, "external.bin");
  copyFileSync(fixture("external.onnx"), model);
  copyFileSync(fixture("external.bin"), weights);
  return { model, weights };
}

/** ONNX Runtime, with something that happens just before it reads the model. */
const runtimeAfter = (change: () => void) => ({
  Tensor,
  InferenceSession: {
    create(...given: Parameters<typeof InferenceSession.create>) {
      change();
      return InferenceSession.create(...given);
    },
  },
});

/** Puts a copy with the same bytes in a file's place, as a download does. */
function replace(file: string): void {
  copyFileSync(file, `${file}.new`);
  renameSync(`${file}.new`, file);
}

describe("files of a model that change while it is loaded", () => {
  it.each(["model", "weights"] as const)("are refused: %s that is replaced", async (part) => {
    const files = externalModel();
    const onnxruntime = runtimeAfter(() => replace(files[part]));
    const loading = fromOnnx(files.model, { onnxruntime });
    await expect(loading).rejects.toMatchObject({ code: "file" });
    await expect(loading).rejects.toThrow(
      `${files[part]} must stay as it is while it is loaded, but it was replaced or written to; load it again`,
    );
  });

  it("are refused: weights that are written to", async () => {
    const { model, weights } = externalModel();
    const more = Buffer.concat([readFileSync(weights), Buffer.alloc(4)]);
    const onnxruntime = runtimeAfter(() => writeFileSync(weights, more));
    await expect(fromOnnx(model, { onnxruntime })).rejects.toThrow(`${weights} must stay as it is`);
  });

  it("are fine where they do not", async () => {
    const classifier = await fromOnnx(externalModel().model, {
      onnxruntime: runtimeAfter(() => {}),
    });
    await classifier.dispose();
  });
});
