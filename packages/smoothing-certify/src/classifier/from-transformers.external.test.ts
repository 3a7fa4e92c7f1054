// The real @huggingface/transformers (475 MB), installed into a temporary folder; no model is downloaded:
// npx vitest run -c vitest.external.config.ts packages/smoothing-certify/src/classifier/from-transformers
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import sharp from "sharp";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { certify } from "../procedures/certify.ts";
import { fromTransformers } from "./from-transformers.ts";
import { image } from "./image-source.ts";

const folder = temporaryFolders("smoothing-transformers")();
const models = fileURLToPath(new URL("../__fixtures__/transformers", import.meta.url));
// biome-ignore lint/suspicious/noExplicitAny: the package is not installed here
let transformers: any;

beforeAll(async () => {
  writeFileSync(join(folder, "package.json"), "{}");
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund"];
  execFileSync("npm", ["install", ...flags, "@huggingface/transformers@4.3.2"], { cwd: folder });
  const entry = createRequire(join(folder, "x.js")).resolve("@huggingface/transformers");
  transformers = await import(pathToFileURL(entry.replace(/\.cjs$/, ".mjs")).href);
  Object.assign(transformers.env, { allowRemoteModels: false, localModelPath: models });
}, 600_000);

it("answers as the package itself does, is certified, and reads images as its processor", async () => {
  const { AutoModelForImageClassification, AutoProcessor, AutoImageProcessor, RawImage } =
    transformers;
  const model = await AutoModelForImageClassification.from_pretrained("tiny-vit", {
    dtype: "fp32",
  });
  for (const kind of [AutoProcessor, AutoImageProcessor]) {
    const processor = await kind.from_pretrained("tiny-vit");
    const classifier = await fromTransformers(model, processor);
    expect(classifier.imageOptions).toEqual({ size: [8, 8], channels: 3 });
    expect(classifier.numClasses).toBe(4);
    const bytes = Uint8Array.from({ length: 192 }, (_, i) => (i * 41) % 256);
    const file = join(folder, "a.png");
    await sharp(bytes, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toFile(file);
    const want = (await model(await processor(await RawImage.read(file)))).logits.data;
    const x = await image(file, classifier.imageOptions);
    const got = (await classifier.predict(x.data, [1, ...x.shape])) as { data: Float32Array };
    for (const [i, value] of want.entries()) expect(got.data[i]).toBeCloseTo(value, 5);
    const { prediction, radius } = await certify(classifier, x, { sigma: 0.25, n: 500 });
    expect(prediction).toBe([...want].indexOf(Math.max(...want)));
    expect(radius).toBeGreaterThan(0);
  }
});
