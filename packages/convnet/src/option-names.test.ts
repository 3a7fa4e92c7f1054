import type * as tf from "@tensorflow/tfjs-core";
import { testOptionNames } from "../../../testing/option-names.ts";
import * as denoising from "./denoising.ts";
import * as main from "./index.ts";

const api = { ...main, ...denoising };

const images = {} as tf.Tensor; // not looked at

testOptionNames(
  api,
  {
    createConvNet: (options) => api.createConvNet("lenet", options),
    "createConvNet > apply": (options) => api.createConvNet("lenet").apply({}, images, options),
    createDnCNN: (options) => api.createDnCNN(options),
    "createDnCNN > denoise": (options) => api.createDnCNN().denoise({}, images, options),
    createUNet: (options) => api.createUNet(options),
    oneShotDenoise: (options) => api.oneShotDenoise(images, images, options),
    oneShotDenoiser: (options) => api.oneShotDenoiser(options),
    onnxNoisePredictor: (options) => api.onnxNoisePredictor({} as never, Object, options),
  },
  [
    "denoisedStabilityLoss",
    "denoisingLoss",
    "diffusionLoss",
    "diffusionSchedule",
    "diffusionStep",
    "diffusionSteps",
    "loadConvNet",
  ],
);
