import { DmaeError } from "@dmae/core";
import type { LogRow } from "../log/log-row.ts";
import type { AttackDigest } from "./attack-digest.ts";
import type { CertificateTest } from "./attacked.ts";
import { checkKinds } from "./check-kinds.ts";
import { checkLogRows } from "./check-log-rows.ts";
import { LogDigest } from "./log-digest.ts";
import { percentText } from "./percent.ts";
import { accuracyName, columnName, type RadiusKind, radiusName } from "./radius-kind.ts";
import { checkOnce } from "./repeated-image.ts";
import {
  type AccuracyInterval,
  accuracyIntervals,
  doubtsOf,
  type RoundingDoubt,
} from "./summary.ts";
import { formatTable } from "./table.ts";

/** A log with a name, e.g. its file name. */
export interface NamedLog {
  readonly name: string;
  readonly rows: readonly LogRow[];
}

/** What there is to say about a log. */
export interface LogSummary {
  readonly name: string;
  /** What its radii are. */
  readonly kind: RadiusKind;
  /** Number of images. */
  readonly images: number;
  /** Share of images on which the smoothed classifier abstained. */
  readonly abstained: number;
  /** The radii that were asked about. */
  readonly radii: readonly number[];
  /** Certified accuracy at each radius. */
  readonly accuracy: readonly AccuracyInterval[];
  /** Average certified radius; missing for a sequential test, which has none. */
  readonly averageRadius?: number;
  /** Quantiles of the radius over all images, 0 where wrong or abstained: 10, 25, 50, 75 and 90 %. */
  readonly quantiles: readonly number[];
  /** Mean number of noisy samples, where the log says. */
  readonly meanSamples?: number;
  /** Radii at which rounding in the log may have decided. */
  readonly doubts: readonly RoundingDoubt[];
  /** What the attacks of the run found, if it attacked. */
  readonly attacks?: AttackSummary;
}

/** What attacks say beside certificates. */
export interface AttackSummary {
  /** Accuracy of the classifier without noise. */
  readonly clean: number;
  /** Share of images on which no attack succeeded within each radius: certified accuracy is at most this. */
  readonly empirical: readonly number[];
  /** Successes within certified radii, tested against alpha; missing where the log says no alpha. */
  readonly test?: CertificateTest;
}

/** Formats of {@link formatSummaries}. */
export type TableFormat = "text" | "markdown" | "latex" | "csv";

const quantileLevels = [0.1, 0.25, 0.5, 0.75, 0.9];

/**
 * Summarizes a log: certified accuracies with confidence intervals, average and distribution of the
 * radius, abstentions, samples.
 *
 * @param radii by default 0, 0.25 … up to the largest radius; for a sequential test its own
 * @throws {DmaeError} "argument" for an image that is there twice, and for radii of several kinds
 */
export function summarizeLog({ name, rows }: NamedLog, radii?: readonly number[]): LogSummary {
  checkLogRows("summarizeLog", rows);
  checkOnce("summarizeLog", rows);
  return summarize(name, LogDigest.of(rows), radii);
}

/** {@link summarizeLog} of a log that is not held. */
export function summarize(name: string, digest: LogDigest, radii?: readonly number[]): LogSummary {
  const { images, abstained, target, meanSamples } = digest;
  if (images === 0)
    throw new DmaeError("argument", `summarizeLog: ${name} has no rows`, { file: name });
  const asked = radii ?? (target === undefined ? usualRadii(digest) : [target]);
  const kind = digest.kind("summarizeLog");
  return {
    name,
    kind,
    images,
    abstained: abstained / images,
    radii: asked,
    accuracy: accuracyIntervals("summarizeLog", digest, asked, 0.95),
    ...(target === undefined && { averageRadius: digest.averageRadius("summarizeLog") }),
    quantiles: quantileLevels.map((level) => digest.quantile(level)),
    ...(meanSamples !== undefined && { meanSamples }),
    doubts: doubtsOf(digest, asked),
    ...(digest.attacks && { attacks: attackSummary(digest.attacks, asked) }),
  };
}

function attackSummary(attacks: AttackDigest, radii: readonly number[]): AttackSummary {
  const test = attacks.test();
  return {
    clean: attacks.cleanAccuracy,
    empirical: radii.map((r) => attacks.empiricalAccuracy(r)),
    ...(test && { test }),
  };
}

/** 0, 0.25, 0.5 … up to the largest radius of a correct row, at least four of them; whole sides of patches. */
export function usualRadii(digest: LogDigest): number[] {
  const step = digest.kind("analyze").norm === "patch" ? 1 : 0.25;
  const largest = digest.certified.at(-1) ?? 0;
  const count = Math.min(40, Math.max(4, Math.floor(largest / step) + 1));
  return Array.from({ length: count }, (_, i) => i * step);
}

/**
 * A table of summaries, one row for each log; all must have been asked about the same radii, of one kind. The
 * columns say which, where they are not l2 radii of the most probable class.
 */
export function formatSummaries(
  summaries: readonly LogSummary[],
  format: TableFormat = "text",
): string {
  const radii = summaries[0]?.radii ?? [];
  if (summaries.some((summary) => String(summary.radii) !== String(radii)))
    throw new DmaeError("argument", "formatSummaries: the logs must share their radii");
  checkKinds("formatSummaries", summaries);
  const named = (name: string) => (summaries[0] ? columnName(summaries[0].kind, name) : name);
  const columns = [...radii.map((r) => `r=${r}`), "ACR"].map(named);
  const header = ["log", "images", "abstain", ...columns, "samples"];
  const body = summaries.map((summary) => cells(summary, format));
  if (format === "csv") return csv(summaries);
  const table = formatTable([header, ...body], format);
  return format === "latex" ? table : `${table}\n${notes(summaries)}`;
}

function cells(summary: LogSummary, format: TableFormat): string[] {
  const interval = ({ accuracy, low, high }: AccuracyInterval) =>
    format === "latex"
      ? `$${percentText(accuracy)}_{${percentText(low)}}^{${percentText(high)}}$`
      : `${percentText(accuracy)} [${percentText(low)}, ${percentText(high)}]`;
  return [
    summary.name,
    String(summary.images),
    percentText(summary.abstained),
    ...summary.accuracy.map(interval),
    summary.averageRadius?.toFixed(4) ?? "-",
    summary.meanSamples === undefined ? "-" : String(Math.round(summary.meanSamples)),
  ];
}

/** What the reader of the table must know. */
function notes(summaries: readonly LogSummary[]): string {
  const lines = [
    `Certified ${summaries[0] ? accuracyName(summaries[0].kind) : "accuracy"} in % with its 95 % interval (Clopper-Pearson over images).`,
    ...(summaries[0] ? [`r and ACR: ${radiusName(summaries[0].kind)}.`] : []),
    "ACR rewards a few very large radii on easy images (arXiv:2410.06895): read it beside the accuracies.",
  ];
  for (const { name, quantiles, doubts, images, radii, attacks } of summaries) {
    const list = quantiles.map((q, i) => `${100 * quantileLevels[i]!} %: ${round(q)}`).join(", ");
    lines.push(`${name}: quantiles of the radius (0 where wrong or abstained): ${list}.`);
    if (attacks) lines.push(...attackNotes(name, radii, attacks));
    if (doubts.length === 0) continue;
    const where = doubts.map(({ radius, rows }) => `${rows} at r = ${radius}`).join(", ");
    const most = Math.max(...doubts.map(({ rows }) => rows)) / images;
    lines.push(
      `${name}: WARNING: radii were printed with three digits; rounding may have counted too many images: ${where} (at most ${(100 * most).toFixed(2)} points).`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function attackNotes(
  name: string,
  radii: readonly number[],
  { clean, empirical, test }: AttackSummary,
): string[] {
  const list = empirical.map((share, i) => `r=${radii[i]}: ${percentText(share)}`).join(", ");
  const lines = [
    `${name}: accuracy in % without noise: ${percentText(clean)}; under attack, an upper bound: ${list}.`,
  ];
  if (!test) return lines;
  const { tested, inside, pValue, isFault } = test;
  const verdict = isFault
    ? "FAULT: more than alpha allows, so the certificate, the classifier or the noise is wrong"
    : "as many as alpha allows";
  lines.push(
    `${name}: ${inside} of ${tested} attacks succeeded within the certified radius (p = ${pValue.toPrecision(3)}): ${verdict}.`,
  );
  return lines;
}

const round = (value: number) => Math.floor(value * 1e4) / 1e4;

/** One line for each log and radius, with full precision. */
function csv(summaries: readonly LogSummary[]): string {
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const lines = ["log,images,abstained,radius,accuracy,low,high,acr,mean_samples,norm,top_k,range"];
  for (const summary of summaries)
    for (const [i, radius] of summary.radii.entries()) {
      const { accuracy, low, high } = summary.accuracy[i]!;
      const { name, images, abstained, averageRadius = "", meanSamples = "", kind } = summary;
      const numbers = [images, abstained, radius, accuracy, low, high, averageRadius, meanSamples];
      lines.push([quote(name), ...numbers, kind.norm, kind.topK, quote(kind.range)].join(","));
    }
  return `${lines.join("\n")}\n`;
}
