import type { ImageDataset } from "@dmae/core";
import type * as tf from "@tensorflow/tfjs-core";
import { testOptionNames } from "../../../testing/option-names.ts";
import * as main from "./index.ts";
import * as parts from "./parts.ts";

const api = { ...main, ...parts };

const vit = api.createViT({ width: 4, depth: 1, heads: 1 }, { imageSize: 16 });
const data = { imageShape: [16, 16, 3] } as unknown as ImageDataset; // not looked at
const images = {} as tf.Tensor; // not looked at

testOptionNames(
  api,
  {
    createViT: (options) => api.createViT(options),
    "createViT (overrides)": (options) => api.createViT("vit_tiny_patch16", options),
    "createViT > features": (options) => vit.features({}, images, options),
    "createViT > logits": (options) => vit.logits({}, images, options),
    fromPretrained: (options) => api.fromPretrained(vit, {}, options),
    tiny: (options) => api.tiny(data, options),
    visibleTokens: (options) => api.visibleTokens(vit, {}, options),
  },
  [
    "CIFAR10_NORMALIZATION",
    "IMAGENET_NORMALIZATION",
    "block",
    "initBlock",
    "layerId",
    "parameterShapes",
    "patchify",
    "positionTensor",
    "projectPatches",
    "unpatchify",
    "viTConfigNames",
  ],
);
