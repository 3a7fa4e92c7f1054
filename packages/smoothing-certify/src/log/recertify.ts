import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkAlpha, checkInteger, checkRows, show } from "../checks.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import {
  type BoundKind,
  type CertificateSettings,
  certificateOf,
  checkBound,
} from "../statistics/certificate.ts";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { type Norm, radiusInNorm } from "../statistics/noises-and-norms.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import { topKRadius } from "../statistics/top-k.ts";
import type { LogRow, LogSettings } from "./log-row.ts";

/** What is to be computed again from the votes of a log. */
export interface RecertifyOptions {
  /** Another allowed probability of a wrong certificate. */
  readonly alpha?: number | undefined;
  /** Another bound. */
  readonly bound?: BoundKind | undefined;
  /** Another norm of the radius. */
  readonly norm?: Norm | undefined;
  /**
   * Numbers of an image, for norms whose radius depends on it, where the log does not say (those of this
   * package do). Another number than the log's is an error.
   */
  readonly dimension?: number | undefined;
  /**
   * Certify that the true class is among the k most probable ones, in place of being the most probable;
   * `predict` is then the label where that is certified. The l2 radius of ordinary Gaussian noise only.
   */
  readonly topK?: number | undefined;
}

/**
 * Computes certificates again from the votes in a log, without running the model: at another alpha, with
 * the two-class bound, for the top k classes, in another norm. What is asked for must not be chosen
 * by looking at the votes, or alpha no longer covers it.
 *
 * What an attack found stays in a row as long as norm and topK do.
 *
 * @param rows of a log of {@link certifyDataset} or {@link certifyDatasetAdaptive}
 * @throws {DmaeError} "argument" for rows without votes, or of a sequential test, whose stopping
 *   depended on its alpha and radius
 * @example
 * const rows = recertify(await readLog("sigma25.tsv"), { alpha: 0.01, bound: "two-class" });
 */
export function recertify(rows: readonly LogRow[], options: RecertifyOptions): LogRow[] {
  checkOptions("recertify", options, {
    alpha: true,
    bound: true,
    norm: true,
    dimension: true,
    topK: true,
  });
  if (options.alpha !== undefined) checkAlpha("recertify", options.alpha);
  checkBound(options.bound);
  if (options.norm !== undefined)
    radiusInNorm({ pLower: 0, sigma: 1, norm: options.norm, dimension: 1 }); // throws for others
  if (options.topK !== undefined) checkInteger("recertify", "topK", options.topK);
  if (options.topK !== undefined && options.bound !== undefined)
    throw new DmaeError(
      "argument",
      "recertify: bound and topK exclude each other, since topK has a bound of its own; leave one out",
    );
  checkRows("recertify", rows);
  const topRow = rows.find(({ settings }) => settings?.topK !== undefined);
  if (topRow && options.bound !== undefined)
    throw new DmaeError(
      "argument",
      `recertify: bound must be left out for a log of topK ${topRow.settings?.topK}, which has a bound of its own`,
    );
  return rows.map((row) => {
    const { settings, counts0, counts } = row;
    if (!settings || !counts0 || !counts)
      throw new DmaeError(
        "argument",
        `recertify: image ${row.idx} has no votes; only logs of this package keep them`,
      );
    if (settings.procedure === "at-radius")
      throw new DmaeError(
        "argument",
        "recertify: a sequential test stopped by its own alpha and radius, so its votes give no other certificate",
      );
    if (settings.procedure === "patch")
      throw new DmaeError(
        "argument",
        "recertify: the votes of ablated copies certify against patches without alpha, so they give no other certificate",
      );
    const voted = { ...row, settings, counts0, counts };
    return recertifyRow(isAttackOf(voted, options) ? voted : withoutAttack(voted), options);
  });
}

/** Whether what the attack looked for is what the new radius is about. */
function isAttackOf({ settings }: Voted, { norm, topK }: RecertifyOptions): boolean {
  const isNorm = norm === undefined || norm === (settings.norm ?? "l2");
  return isNorm && (topK === undefined || topK === Number(settings.topK ?? 1));
}

function withoutAttack({ attacked: _, clean: __, settings: old, ...row }: Voted): Voted {
  const { attack: ___, attackAlpha: ____, ...settings } = old;
  return { ...row, settings: settings as LogSettings };
}

type Voted = LogRow & Required<Pick<LogRow, "settings" | "counts0" | "counts">>;

function recertifyRow(row: Voted, options: RecertifyOptions): LogRow {
  const { alpha = row.settings.alpha, bound, norm } = options;
  const topK = options.topK ?? row.settings.topK;
  const dimension = dimensionOf(row, options.dimension);
  const settings: LogSettings = {
    ...row.settings,
    alpha,
    ...(bound && { bound }),
    ...(norm && { norm }),
    ...(dimension && { dimension }),
    ...(topK && { topK }),
  };
  if (topK) return topKRow(row, Number(topK), settings);
  if (row.counts.length === 0) return { ...row, settings }; // the selection alone led to abstain
  const { prediction, radius, pLower } = certificateOf(
    certificateSettings(settings),
    row.counts0,
    row.counts,
  );
  const correct = prediction === row.label && prediction !== ABSTAIN ? 1 : 0;
  return { ...row, predict: prediction, radius, correct, pLower, settings };
}

/** The numbers of an image: the log's, which another number would contradict. */
function dimensionOf({ settings }: Voted, asked?: number): number | undefined {
  const known = settings.dimension as number | undefined;
  if (asked !== undefined && known !== undefined && asked !== known)
    throw new DmaeError(
      "argument",
      `recertify: dimension must be ${show(known)}, the numbers of the log's images, got ${show(asked)}; leave it out`,
    );
  return known ?? asked;
}

/** The settings of a certificate, read back from a log. */
function certificateSettings(settings: LogSettings): CertificateSettings {
  const { sigma, alpha, bound, distribution, norm, dimension, totalVariation } = settings;
  return {
    sigma,
    alpha,
    bound: bound as BoundKind | undefined,
    distribution: distribution as NoiseDistribution | undefined,
    norm: norm as Norm | undefined,
    dimension: dimension as number | undefined,
    totalVariation: totalVariation as number | undefined,
  };
}

function topKRow(row: Voted, k: number, { bound: _, ...settings }: LogSettings): LogRow {
  if (row.counts.length === 0) return { ...row, settings: settings as LogSettings };
  const { sigma, alpha, distribution = "gaussian", norm = "l2", totalVariation = 0 } = settings;
  if (distribution !== "gaussian" || norm !== "l2" || totalVariation !== 0)
    throw new DmaeError(
      "unsupported",
      "recertify: topK is there for ordinary Gaussian noise and l2 only",
    );
  if (k >= row.counts.length)
    throw new DmaeError(
      "argument",
      `recertify: topK must be less than the ${row.counts.length} classes, got ${k}: any class is among all of them, at any distance`,
    );
  const radius = topKRadius(row.counts, { target: row.label, k, sigma, alpha });
  const stays = radius > 0;
  const predict = stays ? row.label : ABSTAIN;
  const n = row.counts.reduce((sum, count) => sum + count, 0);
  const pLower = clopperPearsonLower(row.counts[row.label]!, n, 0.9 * alpha);
  return { ...row, predict, radius, pLower, correct: stays ? 1 : 0, settings };
}
