import { type DnCnn, diffusionSchedule, diffusionStep, type UNet } from "@dmae/convnet/denoising";
import type { OptionNames } from "@dmae/core/checks";
import type { TrainingRecipe } from "@dmae/train";
import { checkRecipe, trainingRecipeNames } from "@dmae/train/tasks";

/** The training of a denoiser, every field written out. */
export interface DenoiserRecipe extends TrainingRecipe {
  /** What is trained: a DnCNN, or for `"diffusion"` a U-Net. */
  readonly denoiser: DnCnn | UNet;
  /**
   * What is minimised: `"denoising"`, the squared error of the denoised images; `"stability"`, the cross entropy of a frozen classifier
   * (the option `classifier`) on them; `"diffusion"`, the squared error of the predicted noise at random steps.
   */
  readonly objective: "denoising" | "stability" | "diffusion";
  /**
   * Standard deviation of the smoothing noise, in images in [0, 1]. A U-Net learns all levels; this is the one that it
   * denoises at by default.
   */
  readonly sigma: number;
  /** The noise levels of `"diffusion"`; default `"cosine"`. */
  readonly schedule?: "cosine" | "linear";
  /** Adam's l2 weight decay, added to the gradient. */
  readonly weightDecay: number;
  /** Adam's decay of the first moment. */
  readonly beta1: number;
  /** Adam's decay of the second moment. */
  readonly beta2: number;
}

/** The names of {@link DenoiserRecipe}. */
export const denoiserRecipeNames = {
  ...trainingRecipeNames,
  denoiser: true,
  objective: true,
  sigma: true,
  schedule: true,
  weightDecay: true,
  beta1: true,
  beta2: true,
} satisfies OptionNames<DenoiserRecipe>;

const isDenoiser = (value: unknown) =>
  typeof value === "object" && value !== null && ("predict" in value || "denoise" in value);

/** Whether a denoiser predicts the noise of a diffusion. */
export const isUNet = (denoiser: DnCnn | UNet): denoiser is UNet =>
  typeof denoiser === "object" && denoiser !== null && "predict" in denoiser;

/** Throws for unknown fields, for one outside its range, and for a classifier that is missing or of no use. */
export function checkDenoiserRecipe(recipe: DenoiserRecipe, hasClassifier: boolean): void {
  const own = { weightDecay: "be a number, 0 or more" } as const;
  const example = "denoiserRecipe({ denoiser: createDnCNN(), sigma: 0.25 })";
  const fail = checkRecipe("trainDenoiser", recipe, denoiserRecipeNames, own, example);
  const { denoiser, objective, sigma } = recipe;
  if (recipe.schedule !== undefined && !["cosine", "linear"].includes(recipe.schedule))
    fail('schedule must be "cosine" or "linear"', recipe.schedule);
  if (recipe.schedule !== undefined && objective !== "diffusion")
    fail('schedule goes with the objective "diffusion" alone', objective);
  if (!["denoising", "stability", "diffusion"].includes(objective))
    fail('objective must be "denoising", "stability" or "diffusion"', objective);
  if (!isDenoiser(denoiser))
    fail("denoiser must be what createDnCNN or createUNet returns", denoiser);
  if (!(sigma > 0 && Number.isFinite(sigma))) fail("sigma must be positive", sigma);
  if (isUNet(denoiser) !== (objective === "diffusion"))
    fail('denoiser must be a U-Net for "diffusion" and a DnCNN otherwise', objective);
  if (isUNet(denoiser)) diffusionStep(diffusionSchedule(recipe.schedule ?? "cosine"), sigma);
  if (hasClassifier && objective !== "stability")
    fail('the option classifier goes with the objective "stability" alone', objective);
  if (!hasClassifier && objective === "stability")
    fail('the objective "stability" needs the option classifier, { model, params }', undefined);
}
