import { testOptionNames } from "../../../testing/option-names.ts";
import { halves, steps } from "./__fixtures__/steps.ts";
import * as main from "./index.ts";
import * as log from "./log.ts";
import * as noise from "./noise.ts";
import * as report from "./report.ts";
import * as statistics from "./statistics.ts";
import * as workers from "./workers.ts";

const api = { ...main, ...workers, ...log, ...noise, ...report, ...statistics };

const x = [0.5];
const data = steps(4);
const address = { seed: 0, sigma: 1 } as const;

testOptionNames(
  api,
  {
    attack: (options) => api.attack(halves, x, options),
    certificate: (options) => api.certificate(options, [1], [1]),
    certifiedAccuracySvg: (options) => api.certifiedAccuracySvg([], options),
    certify: (options) => api.certify(halves, x, options),
    certifyAdaptive: (options) => api.certifyAdaptive(halves, x, options),
    certifyAtRadius: (options) => api.certifyAtRadius(halves, x, options),
    certifyDataset: (options) => api.certifyDataset(halves, data, options).next(),
    certifyDatasetAdaptive: (options) => api.certifyDatasetAdaptive(halves, data, options).next(),
    certifyDatasetAtRadius: (options) => api.certifyDatasetAtRadius(halves, data, options).next(),
    certifyDatasetPatch: (options) => api.certifyDatasetPatch(halves, data, options).next(),
    certifyMultiLabel: (options) => api.certifyMultiLabel(halves, x, options),
    certifyPatch: (options) => api.certifyPatch(halves, x, options),
    certifyRegression: (options) => api.certifyRegression(halves, x, options),
    certifySegmentation: (options) => api.certifySegmentation(halves, x, options),
    certifySoft: (options) => api.certifySoft(halves, x, options),
    compare: (options) => api.compare([], [], options),
    createCertifier: (options) => api.createCertifier(halves, options),
    denoised: (options) => api.denoised(() => x, halves, options),
    ensemble: (options) => api.ensemble([halves], "vote", options),
    fromCompiled: (options) => api.fromCompiled(async () => x, 1, options),
    fromOnnx: (options) => api.fromOnnx("model.onnx", options),
    fromModelJson: (options) => api.fromModelJson("model.json", options),
    fromTransformers: (options) => api.fromTransformers(async () => ({ logits: x }), {}, options),
    image: (options) => api.image("cat.jpg", options),
    inWorkers: (options) => api.inWorkers("classify.js", options),
    issueCertificate: (options) => api.issueCertificate(halves, x, options),
    mergeLogRows: (options) => api.mergeLogRows(["a.tsv"], options).next(),
    mergeLogs: (options) => api.mergeLogs(["a.tsv"], options),
    noiseInWorkers: (options) => api.noiseInWorkers(address, options),
    "noiseInWorkers (settings)": (settings) => api.noiseInWorkers(settings),
    noiseSource: (options) => api.noiseSource(options),
    plan: (options) => api.plan(halves, data, options),
    predict: (options) => api.predict(halves, x, options),
    preflight: (options) => api.preflight(halves, data, options),
    radiusInNorm: (options) => api.radiusInNorm(options),
    readLog: (options) => api.readLog("a.tsv", options),
    readLogRows: (options) => api.readLogRows("a.tsv", options).next(),
    recertify: (options) => api.recertify([], options),
    soundNoise: (options) => api.soundNoise(options),
    topKRadius: (options) => api.topKRadius([1], options),
    verifyCertificate: (options) => api.verifyCertificate("{}", options),
  },
  [
    "ABSTAIN",
    "averageCertifiedRadius",
    "certificateHtml",
    "certifiedAccuracy",
    "certifiedAccuracyIntervals",
    "certifiedRadius",
    "clopperPearsonLower",
    "clopperPearsonUpper",
    "formatPatchAccuracy",
    "formatSummaries",
    "freshSeed",
    "highProbabilityAccuracy",
    "parseShard",
    "roundingDoubts",
    "studentQuantile",
    "shardFromEnvironment",
    "summarizeLog",
    "svgToPng",
    "testCertificates",
    "writeLog",
  ],
);
