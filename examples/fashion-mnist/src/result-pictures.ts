import { publishedLogs, publishedSettings } from "@dmae/fashion-mnist/logs";
import { modelCards } from "@dmae/models";
import { certifiedRadius, clopperPearsonLower, compare, readLog } from "@dmae/smoothing-certify";
import { certifiedAccuracySvg, type NamedLog } from "@dmae/smoothing-certify/report";

/** Published methods in the pictures, by the beginnings of their names. */
const shown = ["Gaussian", "Consistency", "CAT-RS"];

/** Noise of the main tables. */
export const sigmas = [0.25, 0.5, 1] as const;

/** Where a picture of curves is, seen from docs/results.md. */
export const curvesFile = (sigma: number) => `images/results-${sigma.toFixed(2)}.svg`;

/** Steps between 0 and the largest radius at which the published curves are known. */
const steps = 400;

/**
 * Certified accuracy against radius at one noise, as an SVG: our best shipped model, and published methods on its images and
 * at its n, as in the tables.
 */
export async function curvesPicture(sigma: number): Promise<string> {
  const { name, certified } = modelCards.find((candidate) => candidate.sigma === sigma)!;
  const file = `../../../packages/models/files/${name}/${certified.log}`;
  const ours = await readLog(new URL(file, import.meta.url));
  const { n, alpha } = certified;
  const largest = certifiedRadius(clopperPearsonLower(n, n, alpha), sigma);
  const radii = Array.from({ length: steps + 1 }, (_, i) => (i / steps) * largest);
  const published = { sigma, n: publishedSettings.n, alpha: publishedSettings.alpha };
  const theirs = publishedLogs
    .filter((log) => log.sigma === sigma && shown.some((method) => log.method.startsWith(method)))
    .map(async ({ method, url }) => {
      const { accuracy } = compare(await readLog(url), ours, { radii, n, published });
      const shares = accuracy.map(({ a }) => a);
      return { name: method, rows: rowsOf(shares, radii, ours.length) };
    });
  return certifiedAccuracySvg([{ name, rows: ours }, ...(await Promise.all(theirs))]);
}

/** Rows of a log of so many images that has these shares of them at these radii, to the nearest image. */
function rowsOf(
  shares: readonly number[],
  radii: readonly number[],
  images: number,
): NamedLog["rows"] {
  return Array.from({ length: images }, (_, idx) => {
    const beyond = shares.findIndex((share) => Math.round(share * images) <= idx);
    const at = beyond < 0 ? radii.length - 1 : beyond - 1;
    const correct = at >= 0;
    return {
      idx,
      label: 0,
      predict: correct ? 0 : 1,
      radius: correct ? radii[at]! : 0,
      correct: correct ? 1 : 0,
      time: 0,
    };
  });
}
