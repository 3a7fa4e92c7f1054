import { key } from "@dmae/core";
import { testOptionNames } from "../../../testing/option-names.ts";
import * as images from "./images.ts";
import * as main from "./index.ts";
import * as transforms from "./transforms.ts";
import * as writers from "./writers.ts";

const api = { ...main, ...images, ...transforms, ...writers };

const data = api.synthetic({ length: 4, key: key(0) });

testOptionNames(
  api,
  {
    arrayDataset: (options) => api.arrayDataset(options),
    batches: (options) => api.batches(data, options).next(),
    batchLoader: (options) => api.batchLoader(data, options),
    decodeImage: (options) => api.decodeImage(new Uint8Array(), "a.png", options),
    fashionMnist: (options) => api.fashionMnist(options),
    findCorruptImages: (options) => api.findCorruptImages(data, options),
    loadCifar10: (options) => api.loadCifar10("folder", options),
    loadCifar100: (options) => api.loadCifar100("folder", options),
    loadIdx: (options) => api.loadIdx("folder", options),
    loadImageFolder: (options) => api.loadImageFolder("folder", options),
    loadTarShards: (options) => api.loadTarShards("folder", options),
    randAugment: (options) => api.randAugment("rand-m9-mstd0.5-inc1", options),
    randomCrop: (options) => api.randomCrop(28, options),
    randomErasing: (options) => api.randomErasing(0.25, options),
    randomResizedCrop: (options) => api.randomResizedCrop(28, options),
    sample: (options) => api.sample(data, 1, options),
    splitDataset: (options) => api.splitDataset(data, options),
    synthetic: (options) => api.synthetic(options),
    writeTarShards: (options) => api.writeTarShards("folder", data, options),
  },
  [
    "centerCrop",
    "createImageWorkers",
    "evaluationTransform",
    "everyNth",
    "isPixelDataset",
    "randomHorizontalFlip",
    "resize",
    "resizePixels",
    "subset",
    "take",
    "toUnit",
    "writeCifar10",
  ],
);
