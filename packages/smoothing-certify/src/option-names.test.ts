import { testOptionNames } from "../../../testing/option-names.ts";
import { halves, steps } from "./__fixtures__/steps.ts";
import * as api from "./index.ts";

const x = [0.5];
const data = steps(4);
const address = { seed: 0, sigma: 1 } as const;

testOptionNames(
  api,
  {
    certificate: (options) => api.certificate(options, [1], [1]),
    certifiedAccuracySvg: (options) => api.certifiedAccuracySvg([], options),
    certify: (options) => api.certify(halves, x, options),
    certifyAdaptive: (options) => api.certifyAdaptive(halves, x, options),
    certifyAtRadius: (options) => api.certifyAtRadius(halves, x, options),
    certifyDataset: (options) => api.certifyDataset(halves, data, options).next(),
    certifyDatasetAdaptive: (options) => api.certifyDatasetAdaptive(halves, data, options).next(),
    certifyDatasetAtRadius: (options) => api.certifyDatasetAtRadius(halves, data, options).next(),
    certifySoft: (options) => api.certifySoft(halves, x, options),
    compare: (options) => api.compare([], [], options),
    denoised: (options) => api.denoised(() => x, halves, options),
    ensemble: (options) => api.ensemble([halves], "vote", options),
    fromCompiled: (options) => api.fromCompiled(async () => x, 1, options),
    fromOnnx: (options) => api.fromOnnx("model.onnx", options),
    inWorkers: (options) => api.inWorkers("classify.js", options),
    mergeLogs: (options) => api.mergeLogs(["a.tsv"], options),
    noiseInWorkers: (options) => api.noiseInWorkers(address, options),
    "noiseInWorkers (settings)": (settings) => api.noiseInWorkers(settings),
    noiseSource: (options) => api.noiseSource(options),
    predict: (options) => api.predict(halves, x, options),
    preflight: (options) => api.preflight(halves, data, options),
    radiusInNorm: (options) => api.radiusInNorm(options),
    readLog: (options) => api.readLog("a.tsv", options),
    recertify: (options) => api.recertify([], options),
    soundNoise: (options) => api.soundNoise(options),
    soundNoiseSource: (options) => api.soundNoiseSource(options),
    topKRadius: (options) => api.topKRadius([1], options),
  },
  [
    "ABSTAIN",
    "averageCertifiedRadius",
    "bernsteinLower",
    "certifiedAccuracy",
    "certifiedAccuracyIntervals",
    "certifiedRadius",
    "clopperPearsonLower",
    "clopperPearsonUpper",
    "formatSummaries",
    "freshSeed",
    "fromModelJson",
    "highProbabilityAccuracy",
    "hoeffdingLower",
    "normalCdf",
    "normalQuantile",
    "parseShard",
    "roundingDoubts",
    "shardFromEnvironment",
    "summarizeLog",
    "svgToPng",
    "usualRadii",
    "writeLog",
  ],
);
