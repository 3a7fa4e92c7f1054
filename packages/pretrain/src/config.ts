import { DmaeError, type Given } from "@dmae/core";
import { checkOptions, defined, type OptionNames } from "@dmae/core/checks";
import { createViT, type ViT, type ViTConfig, type ViTName, type ViTOptions } from "@dmae/vit";
import { viTConfigNames } from "@dmae/vit/parts";

/** The shape of a Denoising Masked Autoencoder and of the images it takes. */
export interface DmaeConfig extends Omit<ViTConfig, "numClasses" | "globalPool"> {
  /** Channels of a decoder token; a multiple of 4. */
  readonly decoderWidth: number;
  /** Blocks of the decoder. */
  readonly decoderDepth: number;
  /** Attention heads of the decoder; divides `decoderWidth`. */
  readonly decoderHeads: number;
  /** Standard deviation of the Gaussian noise, in units of images in [0, 1] at their own size. */
  readonly sigma: number;
}

/** What {@link createDmae} takes: an encoder by name or by `width`, `depth`, `heads`, and what differs. */
export type DmaeOptions = Given<DmaeConfig> & Pick<DmaeConfig, "width" | "depth" | "heads">;

const names = {
  ...viTConfigNames,
  decoderWidth: true,
  decoderDepth: true,
  decoderHeads: true,
  sigma: true,
} satisfies OptionNames<DmaeConfig>;

const decoderDefaults = { decoderWidth: 512, decoderDepth: 8, decoderHeads: 16, sigma: 0.25 };

/** A ViT as its configuration; a name or a configuration as it is. */
export const describedModel = (model: ViTName | DmaeOptions | ViT): ViTName | DmaeOptions =>
  (model as Partial<ViT> | undefined)?.config ?? (model as ViTName | DmaeOptions);

/** Completes a configuration and checks it. */
export function resolveDmaeConfig(
  given: ViTName | DmaeOptions | ViT,
  overrides: Given<DmaeConfig> = {},
): DmaeConfig {
  const model = describedModel(given);
  if (typeof model !== "string") checkOptions("createDmae", model, names);
  checkOptions("createDmae", overrides, names);
  const fields = { ...(typeof model === "string" ? {} : defined(model)), ...defined(overrides) };
  const { decoderWidth, decoderDepth, decoderHeads, sigma, ...encoder } = {
    ...decoderDefaults,
    ...fields,
  };
  const vit = createViT(typeof model === "string" ? model : (encoder as ViTOptions), {
    ...encoder,
    numClasses: 0,
    globalPool: false,
  });
  const { numClasses, globalPool, ...rest } = vit.config;
  const fail = (rule: string, got: unknown) => {
    throw new DmaeError("argument", `createDmae: ${rule}, got ${got}`);
  };
  for (const [name, value] of Object.entries({ decoderWidth, decoderDepth, decoderHeads }))
    if (!Number.isInteger(value) || value < 1) fail(`${name} must be a positive integer`, value);
  if (decoderWidth % decoderHeads !== 0 || decoderWidth % 4 !== 0)
    fail(
      "decoderWidth must be a multiple of decoderHeads and of 4",
      `${decoderWidth} and ${decoderHeads} heads`,
    );
  if (!(sigma >= 0 && Number.isFinite(sigma))) fail("sigma must be a number, 0 or more", sigma);
  return Object.freeze({ ...rest, decoderWidth, decoderDepth, decoderHeads, sigma });
}
