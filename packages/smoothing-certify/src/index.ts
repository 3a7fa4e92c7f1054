export type { AddressedNoise, NoiseAddress, NoiseLaw } from "./addressed-noise.ts";
export {
  formatSummaries,
  type LogSummary,
  type NamedLog,
  summarizeLog,
  type TableFormat,
  usualRadii,
} from "./analysis.ts";
export type { AtRadiusResult } from "./at-radius-procedure.ts";
export {
  type BoundKind,
  type Certificate,
  type CertificateSettings,
  certificate,
} from "./certificate.ts";
export { type CertifyOptions, certify } from "./certify.ts";
export {
  type AdaptiveDatasetOptions,
  type AdaptiveOptions,
  type AdaptiveSampling,
  certifyAdaptive,
  certifyDatasetAdaptive,
} from "./certify-adaptive.ts";
export {
  type AtRadiusDatasetOptions,
  type AtRadiusOptions,
  certifyAtRadius,
  certifyDatasetAtRadius,
  type SequentialOptions,
} from "./certify-at-radius.ts";
export { type CertifyDatasetOptions, certifyDataset } from "./certify-dataset.ts";
export type { CertifyResult } from "./certify-procedure.ts";
export type {
  Classifier,
  ClassifierFunction,
  ClassifierOptions,
  ClassifierTraits,
  TensorFlowModel,
} from "./classifier.ts";
export { inWorkers, type WorkerClassifier } from "./classifier-workers.ts";
export { clopperPearsonLower, clopperPearsonUpper } from "./clopper-pearson.ts";
export {
  type CombinedClassifier,
  type CompiledLike,
  denoised,
  ensemble,
  fromCompiled,
} from "./combine.ts";
export type { SelectionOptions } from "./dataset-selection.ts";
export { fromOnnx, type Layout, type OnnxClassifier, type OnnxOptions } from "./from-onnx.ts";
export type { ImageInput } from "./image.ts";
export { readLog, writeLog } from "./log-file.ts";
export type { LogRow, LogSettings } from "./log-row.ts";
export { type MergeOptions, mergeLogs } from "./merge.ts";
export { fromModelJson, type LoadedTensorFlowModel } from "./model-json.ts";
export {
  type NoiseDistribution,
  type NoiseOptions,
  type NoiseSource,
  type NoiseStage,
  noiseSource,
} from "./noise.ts";
export type { NoiseSettings } from "./noise-settings.ts";
export { noiseInWorkers, type WorkerNoise } from "./noise-workers.ts";
export {
  type Norm,
  type NormRadius,
  type NormRadiusOptions,
  radiusInNorm,
} from "./noises-and-norms.ts";
export { normalCdf, normalQuantile } from "./normal.ts";
export type { OnnxRuntime, OnnxSession, OnnxValue } from "./onnx-runtime.ts";
export type { SamplingOptions } from "./options.ts";
export { certifiedAccuracySvg, svgToPng } from "./plot.ts";
export { type PredictOptions, type PredictResult, predict } from "./predict.ts";
export { type PreflightOptions, type PreflightReport, preflight } from "./preflight.ts";
export type { Progress } from "./progress.ts";
export { ABSTAIN, certifiedRadius } from "./radius.ts";
export { type RecertifyOptions, recertify } from "./recertify.ts";
export type { DatasetOptions } from "./run-dataset.ts";
export type { SingleOptions } from "./run-one.ts";
export { parseShard, type Shard, shardFromEnvironment } from "./shard.ts";
export {
  bernsteinLower,
  certifySoft,
  hoeffdingLower,
  type SoftBound,
  type SoftOptions,
  type SoftResult,
} from "./soft-votes.ts";
export { type SoundNoise, soundNoise, soundNoiseSource } from "./sound-noise.ts";
export {
  type AccuracyInterval,
  averageCertifiedRadius,
  type CertifiedRow,
  certifiedAccuracy,
  certifiedAccuracyIntervals,
  highProbabilityAccuracy,
  type RoundingDoubt,
  roundingDoubts,
} from "./summary.ts";
export type { TensorLike } from "./tensors.ts";
export { type TopKOptions, topKRadius } from "./top-k.ts";
