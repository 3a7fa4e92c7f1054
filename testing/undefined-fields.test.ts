import { createMethod } from "@dmae/certified-training";
import { createConvNet } from "@dmae/convnet";
import { createDnCNN, createUNet } from "@dmae/convnet/denoising";
import { key } from "@dmae/core";
import { loadImageFolder, synthetic } from "@dmae/datasets";
import { denoiserRecipe, finetuneRecipe, linearProbeRecipe } from "@dmae/finetune";
import { createDmae, pretrainRecipe } from "@dmae/pretrain";
import { createViT, tiny } from "@dmae/vit";
import { expect, it } from "vitest";
import { writePhotos } from "./image-folder.ts";
import { temporaryFolders } from "./temporary-folder.ts";

const encoder = { imageSize: 16, patchSize: 4, width: 16, depth: 2, heads: 2 };
const images = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 4 });
const recipe = { model: encoder, epochs: 2, sigma: 0.25 };

/** What builds something of a record, and the fields that it must be given. */
type Builder = readonly [build: (fields: never) => object, needed: object];

const builders: Readonly<Record<string, Builder>> = {
  createConvNet: [(fields) => createConvNet("lenet", fields).config, {}],
  createDnCNN: [(fields) => createDnCNN(fields).config, {}],
  createUNet: [(fields) => createUNet(fields).config, {}],
  createViT: [(fields) => createViT(fields).config, encoder],
  "createViT, overrides": [(fields) => createViT(encoder, fields).config, {}],
  createDmae: [(fields) => createDmae(fields).config, encoder],
  "createDmae, overrides": [(fields) => createDmae(encoder, fields).config, {}],
  tiny: [(fields) => tiny(images, fields), {}],
  pretrainRecipe: [pretrainRecipe, recipe],
  finetuneRecipe: [finetuneRecipe, recipe],
  linearProbeRecipe: [linearProbeRecipe, recipe],
  denoiserRecipe: [denoiserRecipe, { denoiser: createDnCNN(), epochs: 2 }],
  ...Object.fromEntries(
    (
      [
        { name: "consistency", copies: 2, lambda: 2 },
        { name: "smoothAdv", copies: 2, epsilon: 1, steps: 2, warmupEpochs: 1 },
        { name: "macer", copies: 2, lambda: 1, beta: 16, margin: 8 },
        { name: "catRs", copies: 2, lambda: 1, epsilon: 1, steps: 2 },
      ] as const
    ).map((needed) => [needed.name, [(fields: never) => createMethod(fields).settings, needed]]),
  ),
};

it.each(Object.entries(builders))(
  "%s takes an undefined field as left out",
  (_, [build, needed]) => {
    const whole = build(needed as never);
    const fields = Object.keys(whole).filter((name) => !Object.hasOwn(needed, name));
    expect(fields.length).toBeGreaterThan(0);
    for (const name of fields)
      expect(build({ ...needed, [name]: undefined } as never), name).toEqual(whole);
  },
);

it("is a field that the types allow", () => {
  const none = undefined as number | undefined;
  const made = [
    finetuneRecipe({ model: encoder, epochs: none }),
    linearProbeRecipe({ model: encoder, epochs: none }),
    denoiserRecipe({ denoiser: createDnCNN({ depth: none }), epochs: none }),
    pretrainRecipe({ model: { ...encoder, decoderDepth: none }, epochs: none }),
    finetuneRecipe({ model: createConvNet("lenet", { width: none }), batchSize: none }),
  ];
  for (const { epochs } of made) expect(epochs).toBeGreaterThan(0);
});

const scratch = temporaryFolders("undefined-fields");

it("an undefined limit is the default, not none", async () => {
  const folder = await writePhotos(scratch());
  const { limits } = await loadImageFolder(folder, { size: 16 });
  const fields = { maxBytes: undefined, maxPixels: undefined } as never;
  expect((await loadImageFolder(folder, { size: 16, ...(fields as object) })).limits).toEqual(
    limits,
  );
});
