import { DmaeError, type Given } from "@dmae/core";
import { checkOptions, defined, type OptionNames } from "@dmae/core/checks";

/** The shape of a Vision Transformer and of the images it takes. */
export interface ViTConfig {
  /** Side of the images given to the model, in pixels; other than `imageSize`, they are resized bicubically. */
  readonly inputSize: number;
  /** Side at which patches are cut, in pixels; a multiple of `patchSize`. */
  readonly imageSize: number;
  /** Side of a patch, in pixels. */
  readonly patchSize: number;
  /** Channels of an image. */
  readonly channels: number;
  /** Channel means of images in [0, 1], subtracted inside the model. */
  readonly mean: readonly number[];
  /** Channel standard deviations, divided by inside the model. */
  readonly std: readonly number[];
  /** Channels of a token, D. */
  readonly width: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Attention heads; divides `width`. */
  readonly heads: number;
  /** Hidden width of the MLP over `width`. */
  readonly mlpRatio: number;
  /** Epsilon of every LayerNorm. */
  readonly epsilon: number;
  /** Number of classes; 0 for a model without a head. */
  readonly numClasses: number;
  /** True: mean of the patch tokens, then `fc_norm`; false: `norm`, then the class token. */
  readonly globalPool: boolean;
}

/** The names of {@link ViTConfig}. */
export const viTConfigNames = {
  inputSize: true,
  imageSize: true,
  patchSize: true,
  channels: true,
  mean: "list",
  std: "list",
  width: true,
  depth: true,
  heads: true,
  mlpRatio: true,
  epsilon: true,
  numClasses: true,
  globalPool: "boolean",
} satisfies OptionNames<ViTConfig>;

/** The models of the field, by their timm names. */
export type ViTName =
  | "vit_tiny_patch16"
  | "vit_small_patch16"
  | "vit_base_patch16"
  | "vit_large_patch16"
  | "vit_huge_patch14";

/** What {@link createViT} takes: `width`, `depth` and `heads`, and whatever differs from the defaults. */
export type ViTOptions = Given<ViTConfig> & Pick<ViTConfig, "width" | "depth" | "heads">;

const variants: Readonly<Record<ViTName, ViTOptions>> = {
  vit_tiny_patch16: { width: 192, depth: 12, heads: 3 },
  vit_small_patch16: { width: 384, depth: 12, heads: 6 },
  vit_base_patch16: { width: 768, depth: 12, heads: 12 },
  vit_large_patch16: { width: 1024, depth: 24, heads: 16 },
  vit_huge_patch14: { width: 1280, depth: 32, heads: 16, patchSize: 14 },
};

const defaults = {
  imageSize: 224,
  patchSize: 16,
  channels: 3,
  mlpRatio: 4,
  epsilon: 1e-6,
  numClasses: 1000,
  globalPool: true,
};

/** ImageNet's channel statistics, what the official models use (the CIFAR scripts have their own). */
export const IMAGENET_NORMALIZATION = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;

/** CIFAR-10's channel statistics, as the official CIFAR scripts set them. */
export const CIFAR10_NORMALIZATION = {
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2471, 0.2435, 0.2616],
} as const;

/**
 * Completes a configuration and checks it.
 *
 * @param model a name, or at least `width`, `depth` and `heads`
 * @param overrides fields that differ from it
 * @returns every field, frozen; defaults: 224x224x3, patch 16, ImageNet statistics, mlpRatio 4,
 * epsilon 1e-6, 1000 classes, global pool, `inputSize` = `imageSize`
 * @throws DmaeError "argument" naming the field
 */
export function resolveConfig(
  model: ViTName | ViTOptions,
  overrides: Given<ViTConfig> = {},
): ViTConfig {
  const base = typeof model === "string" ? variants[model] : model;
  if (base === undefined)
    throw new DmaeError(
      "argument",
      `createViT: unknown model "${model}"; known are ${Object.keys(variants).join(", ")}`,
    );
  checkOptions("createViT", base, viTConfigNames);
  checkOptions("createViT", overrides, viTConfigNames);
  const merged = { ...defaults, ...defined(base), ...defined(overrides) };
  const config: ViTConfig = {
    ...(merged.channels === 3 ? IMAGENET_NORMALIZATION : { mean: [], std: [] }),
    inputSize: merged.imageSize,
    ...merged,
  };
  check(config);
  return Object.freeze(config);
}

function check(config: ViTConfig): void {
  const fail = (rule: string, got: unknown) => {
    throw new DmaeError("argument", `createViT: ${rule}, got ${got}`);
  };
  const counts = ["inputSize", "imageSize", "patchSize", "channels", "width", "depth", "heads"];
  for (const name of counts as (keyof ViTConfig)[])
    if (!Number.isSafeInteger(config[name]) || (config[name] as number) < 1)
      fail(`${name} must be a positive integer`, config[name]);
  const { imageSize, patchSize, channels, width, heads, mlpRatio, numClasses, epsilon } = config;
  if (imageSize % patchSize !== 0)
    fail("imageSize must be a multiple of patchSize", `${imageSize} and ${patchSize}`);
  if (width % heads !== 0 || width % 4 !== 0)
    fail("width must be a multiple of heads and of 4", `${width} and ${heads} heads`);
  if (!Number.isInteger(numClasses) || numClasses < 0)
    fail("numClasses must be an integer, 0 or more", numClasses);
  if (config.depth > 1000) fail("depth must be at most 1000", config.depth);
  if (!(Number.isFinite(epsilon) && epsilon > 0)) fail("epsilon must be positive", epsilon);
  if (!(typeof mlpRatio === "number" && mlpRatio > 0) || !Number.isInteger(width * mlpRatio))
    fail("mlpRatio * width must be a positive integer", `${mlpRatio} * ${width}`);
  for (const name of ["mean", "std"] as const)
    if (config[name].length !== channels || !config[name].every(Number.isFinite))
      fail(
        `${name} must hold one number for each of the ${channels} channel(s)`,
        config[name].length > 0 ? `[${config[name]}]` : "none: pass those of your images in [0, 1]",
      );
  if (!config.std.every((value) => value > 0)) fail("std must be positive", `[${config.std}]`);
}
