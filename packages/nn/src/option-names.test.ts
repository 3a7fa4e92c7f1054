import type * as tf from "@tensorflow/tfjs-core";
import { testOptionNames } from "../../../testing/option-names.ts";
import * as main from "./index.ts";
import * as layers from "./layers.ts";

const api = { ...main, ...layers };

const tensor = {} as tf.Tensor; // not looked at

testOptionNames(
  api,
  {
    conv2d: (options) => api.conv2d(tensor, tensor, options),
    selectBackend: (options) => api.selectBackend("cpu", options),
  },
  [
    "attention",
    "batchNorm",
    "bicubicMatrix",
    "checkParameters",
    "constantSpec",
    "disposeTensors",
    "dropPath",
    "eagerExecutor",
    "gelu",
    "initializeParameters",
    "layerNorm",
    "linear",
    "normalInit",
    "normalize",
    "ones",
    "orthogonal",
    "resizeBicubic",
    "softmaxCrossEntropy",
    "toHost",
    "toTensors",
    "truncatedNormal",
    "uniformInit",
    "valueAndGradients",
    "withoutGradient",
    "xavierUniform",
    "zeros",
  ],
);
