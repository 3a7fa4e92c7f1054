import { DmaeError } from "@dmae/core";
import { checkAlpha, show } from "../checks.ts";
import { binomialExceeds } from "../statistics/binomial-quantile.ts";

/** One image that was certified and attacked. */
export interface AttackedRow {
  /** Certified radius; 0 where it abstains. */
  readonly certified: number;
  /** Norm of the perturbation that an attack verified; `Infinity` where it found none. */
  readonly attacked: number;
}

/** What {@link testCertificates} found. */
export interface CertificateTest {
  /** All images, those that abstain among them: alpha bounds how often one is certified *and* wrong. */
  readonly tested: number;
  /** Attacks that succeeded within the certified radius. */
  readonly inside: number;
  /** Probability of so many or more if each image gets a wrong certificate with probability alpha; rounded up. */
  readonly pValue: number;
  /** Whether that is less than 0.001: there is a fault in the certificate, the classifier or the noise. */
  readonly isFault: boolean;
}

/**
 * Counts the attacks that succeeded within certified radii and tests the count against alpha. A few are what
 * alpha allows; more are a fault of the certificate.
 *
 * @param rows one row for each image that was attacked, of independent noise, whether it was certified or not
 * @param alpha the alphas of `certify` and `attack` together: either may be what is wrong
 * @example
 * const { radius: certified } = await certify(classify, image, { sigma, alpha: 0.001 });
 * const { radius: attacked } = await attack(classify, image, { sigma, alpha: 0.001 });
 * testCertificates([{ certified, attacked }], 0.002);
 */
export function testCertificates(rows: readonly AttackedRow[], alpha: number): CertificateTest {
  checkAlpha("testCertificates", alpha);
  for (const { certified, attacked } of rows)
    if (!(certified >= 0 && attacked >= 0))
      throw new DmaeError(
        "argument",
        `testCertificates: certified and attacked must be radii >= 0, got ${show(certified)} and ${show(attacked)}`,
      );
  const inside = rows.filter(({ certified, attacked }) => attacked < certified).length;
  return testCounts(rows.length, inside, alpha);
}

/** The test of {@link testCertificates}, given the counts. */
export function testCounts(tested: number, inside: number, alpha: number): CertificateTest {
  const pValue = binomialExceeds(inside - 1, tested, alpha);
  return { tested, inside, pValue, isFault: pValue < 0.001 };
}
