/** Tables and curves from certified rows and logs. */

export { certificateHtml } from "./certificate/certificate-html.ts";
export {
  type AttackSummary,
  formatSummaries,
  type LogSummary,
  type NamedLog,
  summarizeLog,
  type TableFormat,
} from "./report/analysis.ts";
export { type AttackedRow, type CertificateTest, testCertificates } from "./report/attacked.ts";
export { formatPatchAccuracy, type PatchAccuracyRow } from "./report/patch-accuracy.ts";
export { certifiedAccuracySvg, svgToPng } from "./report/plot.ts";
export type { RadiusKind } from "./report/radius-kind.ts";
export {
  type AccuracyInterval,
  certifiedAccuracyIntervals,
  highProbabilityAccuracy,
  type RoundingDoubt,
  roundingDoubts,
} from "./report/summary.ts";
export type { LogNumbers } from "./report/thinned.ts";
