import { testOptionNames } from "../../../testing/option-names.ts";
import * as downloads from "./downloads.ts";
import * as main from "./index.ts";
import * as resume from "./resume.ts";

const api = { ...main, ...downloads, ...resume };

const none = { names: [], spec: () => ({ dtype: "float32" as const, shape: [] }) };

testOptionNames(
  api,
  {
    download: (options) => api.download("http://127.0.0.1:1/a.pth", options),
    downloadCheckpoint: (options) => api.downloadCheckpoint("dmae_base", options),
    downloadCifar10: (options) => api.downloadCifar10(options),
    downloadCifar100: (options) => api.downloadCifar100(options),
    loadCheckpoint: (options) => api.loadCheckpoint(new Uint8Array(), options),
    weightDecayGroups: (options) => api.weightDecayGroups(none, options),
  },
  [
    "cacheFolder",
    "decodeSafetensors",
    "encodeSafetensors",
    "isTensorReference",
    "optimizerState",
    "publishedCheckpoints",
    "saveSafetensors",
    "toFloat16",
    "trainingState",
  ],
);
