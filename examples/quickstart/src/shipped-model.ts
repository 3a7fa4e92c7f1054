import { DmaeError } from "@dmae/core";
import { modelCards, pretrained } from "@dmae/models";
import { createDmae, type PretrainRecipe } from "@dmae/pretrain";

/** The best classifier of `@dmae/models` that was trained for this noise, and the DMAE that it started from. */
export async function shippedModel(sigma: number) {
  const card = modelCards.find((candidate) => candidate.sigma === sigma);
  if (!card)
    throw new DmaeError(
      "argument",
      `--pretrained needs --sigma ${[...new Set(modelCards.map((shipped) => shipped.sigma))].join(" or ")}, got ${sigma}; without --pretrained any sigma is trained`,
    );
  const classifier = await pretrained(card.name);
  const { model } = card.training.pretraining as PretrainRecipe;
  const dmae = createDmae(model, { sigma });
  return { classifier, autoencoder: { dmae, params: await classifier.autoencoder() } };
}
