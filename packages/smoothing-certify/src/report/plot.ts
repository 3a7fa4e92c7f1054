import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { requireNode } from "../in-node.ts";
import type { NamedLog } from "./analysis.ts";
import { checkKinds } from "./check-kinds.ts";
import { checkLogRows } from "./check-log-rows.ts";
import { LogDigest } from "./log-digest.ts";
import { countBelow } from "./number-list.ts";
import { accuracyName, radiusName } from "./radius-kind.ts";
import { checkOnceARun } from "./repeated-image.ts";

const colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];
const frame = { left: 62, right: 16, top: 16, bottom: 50, width: 640, height: 400 };

/**
 * Certified accuracy against radius as an SVG picture, one curve for each log. A curve falls at every
 * radius of a correct image, so it shows every image. A log of a run that attacked has two curves more: the
 * accuracy under attack (dashed), an upper bound, and that without noise (dotted).
 *
 * @throws {DmaeError} "argument" for a sequential test, which knows one radius only, for radii of several kinds,
 *   and for an image that one run has twice
 */
export function certifiedAccuracySvg(
  logs: readonly NamedLog[],
  options: { readonly title?: string } = {},
): string {
  checkOptions("certifiedAccuracySvg", options, { title: true });
  const digests = logs.map(({ name, rows }) => {
    checkLogRows("certifiedAccuracySvg", rows);
    checkOnceARun("certifiedAccuracySvg", rows);
    return { name, digest: LogDigest.of(rows) };
  });
  return drawCurves(digests, options.title);
}

/** {@link certifiedAccuracySvg} of logs that are not held. */
export function drawCurves(
  logs: readonly { readonly name: string; readonly digest: LogDigest }[],
  title = "",
): string {
  const digests = logs.map(({ digest }) => digest);
  if (logs.length === 0 || logs.some(({ digest }) => digest.images === 0))
    throw new DmaeError("argument", "certifiedAccuracySvg: give at least one log, each with rows");
  if (logs.some(({ digest }) => digest.target !== undefined))
    throw new DmaeError(
      "argument",
      "certifiedAccuracySvg: a sequential test at one radius gives no curve",
    );
  if (logs.some(({ digest }) => !digest.isFinite))
    throw new DmaeError("argument", "certifiedAccuracySvg: every radius must be finite");
  const kinds = logs.map(({ name, digest }) => ({
    name,
    kind: digest.kind("certifiedAccuracySvg"),
  }));
  checkKinds("certifiedAccuracySvg", kinds);
  const { kind } = kinds[0]!;
  const curves = logs.flatMap(({ name, digest }, i) => curvesOf(name, digest, colorOf(i)));
  const most = niceCeil(Math.max(0.1, ...curves.map(({ values }) => largestOf(values))));
  const { left, right, top, bottom, width, height } = frame;
  const x = (radius: number) => left + (radius / most) * (width - left - right);
  const y = (share: number) => height - bottom - share * (height - top - bottom);
  const names = {
    x: radiusName(kind),
    y: `${digests.some(({ attacks }) => attacks) ? "" : "certified "}${accuracyName(kind)}`,
  };
  const parts = [
    grid(most, names, x, y),
    title && label(width / 2, 12, title, "middle"),
    ...curves.map(
      (curve) =>
        `<polyline fill="none" stroke="${curve.color}" stroke-width="1.8"${curve.dashes} points="${corners(curve, most, x, y)}"/>`,
    ),
    legend(curves),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.filter(Boolean).join("\n")}</svg>\n`;
}

const colorOf = (i: number) => colors[i % colors.length]!;

/** A curve of the picture: the share of `images` values that are at least r. */
interface Curve {
  readonly name: string;
  readonly color: string;
  readonly dashes: string;
  /** In ascending order; those that are infinite are in the share everywhere. */
  readonly values: Float64Array;
  readonly images: number;
}

/** The certified accuracy of a log and, if it was attacked, that under attack and without noise. */
function curvesOf(name: string, digest: LogDigest, color: string): Curve[] {
  const { certified, images, attacks } = digest;
  if (!attacks) return [{ name, color, dashes: "", values: certified, images }];
  const all = attacks.images;
  const clean = new Float64Array(Math.round(attacks.cleanAccuracy * all)).fill(Infinity);
  return [
    { name: `${name}, certified`, color, dashes: "", values: certified, images },
    {
      ...{ name: `${name}, under attack`, color, values: attacks.distances, images: all },
      dashes: ' stroke-dasharray="6 4"',
    },
    {
      ...{ name: `${name}, without noise`, color, values: clean, images: all },
      dashes: ' stroke-dasharray="1.5 4"',
    },
  ];
}

/** The largest finite value. */
const largestOf = (values: Float64Array) => values[countBelow(values, Infinity) - 1] ?? 0;

/** Turns an SVG picture into PNG bytes, by `sharp` (an optional dependency). */
export async function svgToPng(svg: string): Promise<Uint8Array> {
  requireNode("svgToPng", "PNG pictures");
  const sharp = await import("sharp").catch((cause) => {
    throw new DmaeError(
      "unsupported",
      "svgToPng: PNG pictures need sharp; install it with npm install sharp, or write SVG",
      {},
      { cause },
    );
  });
  return sharp.default(new TextEncoder().encode(svg), { density: 192 }).png().toBuffer();
}

/**
 * Corners of a step curve. All steps at one place of the picture are drawn as one, so that a million rows take
 * no more points than the picture has.
 */
function corners({ values, images }: Curve, most: number, x: Axis, y: Axis): string {
  const heightOf = (above: number) => y(above / images).toFixed(2);
  const finite = countBelow(values, Infinity);
  let height = heightOf(values.length);
  const points = [`${x(0).toFixed(2)},${height}`];
  for (let i = 0; i < finite; i++) {
    const place = x(values[i]!).toFixed(2);
    if (i + 1 < finite && x(values[i + 1]!).toFixed(2) === place) continue;
    points.push(`${place},${height}`);
    height = heightOf(values.length - i - 1);
    points.push(`${place},${height}`);
  }
  if (finite < values.length) points.push(`${x(most).toFixed(2)},${height}`);
  return points.join(" ");
}

/** The place of a value in the picture. */
type Axis = (value: number) => number;

function grid(most: number, names: { x: string; y: string }, x: Axis, y: Axis): string {
  const { left, right, width, height, bottom, top } = frame;
  const parts: string[] = [];
  for (let share = 0; share <= 1.0001; share += 0.2) {
    const at = y(share).toFixed(1);
    parts.push(`<path d="M${left} ${at}H${width - right}" stroke="#ddd"/>`);
    parts.push(label(left - 6, Number(at) + 4, `${Math.round(100 * share)} %`, "end"));
  }
  const step = tickStep(most / 8);
  for (let r = 0; r <= most * 1.0001; r += step) {
    const at = x(r).toFixed(1);
    parts.push(`<path d="M${at} ${top}V${height - bottom}" stroke="#eee"/>`);
    parts.push(
      label(Number(at), height - bottom + 16, String(Math.round(r * 100) / 100), "middle"),
    );
  }
  parts.push(label((left + width) / 2, height - 12, names.x, "middle"));
  parts.push(
    `<text transform="translate(15 ${(height - bottom) / 2}) rotate(-90)" text-anchor="middle">${names.y}</text>`,
  );
  return parts.join("\n");
}

/** A round step of at least `least`. */
function tickStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const large = [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least)!;
  return least > 0.5 ? large : least > 0.25 ? 0.5 : least > 0.1 ? 0.25 : 0.1;
}

/** In the lower left corner, which curves that fall from the upper left leave free. */
function legend(curves: readonly Curve[]): string {
  const { left, height, bottom } = frame;
  return curves
    .map(({ name, color, dashes }, i) => {
      const at = height - bottom - 10 - 18 * (curves.length - 1 - i);
      const line = `<path d="M${left + 10} ${at - 4}h20" stroke="${color}" stroke-width="3"${dashes}/>`;
      return line + label(left + 36, at, name, "start");
    })
    .join("\n");
}

function label(x: number, y: number, text: string, anchor: string): string {
  const safe = text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${safe}</text>`;
}

function niceCeil(value: number): number {
  const step = value > 2 ? 0.5 : value > 0.5 ? 0.25 : 0.1;
  return Math.ceil(value / step - 1e-9) * step;
}
