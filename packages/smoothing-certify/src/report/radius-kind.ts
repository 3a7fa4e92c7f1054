import type { LogSettings } from "../log/log-row.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { type Norm, usualNorm } from "../statistics/noises-and-norms.ts";

/** What the radii of a log are: only radii of one kind have a place in one table or picture. */
export interface RadiusKind {
  /** Norm; `"patch"` where radii are sides of square patches, in pixels. */
  readonly norm: Norm | "patch";
  /** A row is correct where the label is among so many most probable classes. */
  readonly topK: number;
  /** Lowest and highest pixel value, in whose units a radius is, e.g. `0,1`. */
  readonly range: string;
}

/** The kind of radius of rows with these settings; without any, that of the original tools. */
export function kindOf(settings: LogSettings | undefined): RadiusKind {
  const {
    procedure,
    distribution,
    norm,
    topK = 1,
    range = "0,1",
  } = settings ?? ({} as Partial<LogSettings>);
  const usual = usualNorm(distribution as NoiseDistribution | undefined);
  return {
    norm: procedure === "patch" ? "patch" : ((norm as Norm | undefined) ?? usual),
    topK: Number(topK),
    range: String(range),
  };
}

export const sameKind = (a: RadiusKind, b: RadiusKind): boolean =>
  a.norm === b.norm && a.topK === b.topK && a.range === b.range;

/** What the numbers are, as an axis says it. */
export function radiusName({ norm, range }: RadiusKind): string {
  if (norm === "patch") return "side of the square patch, in pixels";
  return `${norm} radius${range === "0,1" ? "" : `, pixel values in [${range}]`}`;
}

/** `accuracy`, or which one it is. */
export const accuracyName = ({ topK }: RadiusKind): string =>
  topK > 1 ? `top-${topK} accuracy` : "accuracy";

/** The kind in a sentence. */
export const kindName = (kind: RadiusKind): string =>
  `${radiusName(kind)}${kind.topK > 1 ? ` for ${accuracyName(kind)}` : ""}`;

/** The name of a column, with what its numbers are where they are not l2 radii of the most probable class. */
export function columnName({ norm, topK }: RadiusKind, name: string): string {
  const parts = [topK > 1 && `top-${topK}`, norm !== "l2" && norm !== "patch" && norm, name];
  return parts.filter(Boolean).join(" ");
}
