export type {
  CertificateFile,
  CertificateSignature,
  CertifiedInput,
  CertifiedModel,
} from "./certificate/certificate-file.ts";
export { type IssueOptions, issueCertificate } from "./certificate/issue-certificate.ts";
export {
  type CertificateReport,
  type VerifyOptions,
  verifyCertificate,
} from "./certificate/verify-certificate.ts";
export type {
  Classifier,
  ClassifierFunction,
  ClassifierOptions,
  TensorFlowModel,
} from "./classifier/classifier.ts";
export type { ClassifierTraits } from "./classifier/classifier-traits.ts";
export {
  type CombinedClassifier,
  type CompiledLike,
  denoised,
  type EnsembleOptions,
  ensemble,
  fromCompiled,
} from "./classifier/combine.ts";
export { fromOnnx, type LoadedClassifier, type OnnxOptions } from "./classifier/from-onnx.ts";
export {
  fromTransformers,
  type TransformersClassifier,
  type TransformersModel,
} from "./classifier/from-transformers.ts";
export type { ImageInput } from "./classifier/image.ts";
export {
  type ImageOptions,
  image,
  type LoadedImage,
} from "./classifier/image-source.ts";
export { fromModelJson } from "./classifier/model-json.ts";
export type { OnnxRuntime, OnnxSession, OnnxValue } from "./classifier/onnx-runtime.ts";
export type { CanvasLike, ImageDataLike, ImageSource } from "./classifier/pixels.ts";
export type { CheckedPreprocessing, Layout, Preprocessing } from "./classifier/preprocessing.ts";
export type { Range } from "./classifier/range.ts";
export type { TensorLike } from "./classifier/tensors.ts";
export { type ReadLogOptions, readLog } from "./log/log-file.ts";
export type { LogRow, LogSettings } from "./log/log-row.ts";
export { type MergeOptions, mergeLogs } from "./log/merge.ts";
export { type RecertifyOptions, recertify } from "./log/recertify.ts";
export type { AtRadiusResult } from "./procedures/at-radius-procedure.ts";
export {
  type AttackOptions,
  type AttackResult,
  type AttackSettings,
  attack,
} from "./procedures/attack/attack.ts";
export type { AttackNorm } from "./procedures/attack/perturbation.ts";
export type { SmoothedGradient } from "./procedures/attack/smoothed-votes.ts";
export { type CertifyOptions, certify } from "./procedures/certify.ts";
export {
  type AdaptiveDatasetOptions,
  type AdaptiveOptions,
  type AdaptiveSampling,
  certifyAdaptive,
  certifyDatasetAdaptive,
} from "./procedures/certify-adaptive.ts";
export {
  type AtRadiusDatasetOptions,
  type AtRadiusOptions,
  certifyAtRadius,
  certifyDatasetAtRadius,
  type SequentialOptions,
} from "./procedures/certify-at-radius.ts";
export {
  certifyMultiLabel,
  certifySegmentation,
  type MultiLabelOptions,
  type SegmentationOptions,
} from "./procedures/certify-components.ts";
export { type CertifyDatasetOptions, certifyDataset } from "./procedures/certify-dataset.ts";
export type { CertifyResult } from "./procedures/certify-procedure.ts";
export { certifyRegression, type RegressionOptions } from "./procedures/certify-regression.ts";
export type { LogitsLayout } from "./procedures/component-decoders.ts";
export type { ComponentsResult } from "./procedures/components-procedure.ts";
export type { Encoding } from "./procedures/patch/ablated-copies.ts";
export type { Ablation, PatchSize } from "./procedures/patch/ablation.ts";
export {
  certifyDatasetPatch,
  certifyPatch,
  type PatchDatasetOptions,
  type PatchOptions,
  type PatchRow,
} from "./procedures/patch/certify-patch.ts";
export type { PatchResult } from "./procedures/patch/patch-procedure.ts";
export {
  type Plan,
  type PlanGoal,
  type PlannedRun,
  type PlanOptions,
  plan,
} from "./procedures/plan.ts";
export { type PredictOptions, type PredictResult, predict } from "./procedures/predict.ts";
export { type PreflightOptions, type PreflightReport, preflight } from "./procedures/preflight.ts";
export type { RegressionResult } from "./procedures/regression-procedure.ts";
export {
  certifySoft,
  type SoftBound,
  type SoftOptions,
  type SoftResult,
} from "./procedures/soft-votes.ts";
export { type CompareOptions, type Comparison, compare } from "./report/compare.ts";
export type { PairedDifference } from "./report/paired.ts";
export { averageCertifiedRadius, type CertifiedRow, certifiedAccuracy } from "./report/summary.ts";
export type { SelectionOptions } from "./run/dataset-selection.ts";
export type { SamplingOptions, Seeded } from "./run/options.ts";
export type { Progress } from "./run/progress.ts";
export type { Rows } from "./run/rows.ts";
export type { DatasetOptions } from "./run/run-dataset.ts";
export type { ResultOf, SingleOptions } from "./run/run-one.ts";
export {
  type Certifier,
  type CertifierOptions,
  type CertifierRequest,
  createCertifier,
} from "./server/certifier.ts";
export type { AnytimeResult } from "./server/request.ts";
export {
  type BoundKind,
  type Certificate,
  type CertificateSettings,
  certificate,
} from "./statistics/certificate.ts";
export { clopperPearsonLower, clopperPearsonUpper } from "./statistics/clopper-pearson.ts";
export { ABSTAIN, certifiedRadius } from "./statistics/radius.ts";
