/**
 * Polynomials of the Box-Muller transform: Chebyshev fits in 60-digit arithmetic, rounded to float64,
 * with relative errors below 5e-16 (log, of a correction of 2 %) and 4e-17 on the intervals used. Both
 * the JavaScript and the WebAssembly kernel are built from these numbers; changing one changes results.
 */

/** log((1 + s) / (1 - s)) = 2 s + s z (c0 + c1 z + …) with z = s^2, s up to tan(pi / 8). */
export const LOG = [
  0.666666666666667, 0.399999999998995, 0.2857142862597826, 0.22222211134341624,
  0.18182889158299903, 0.15331720502376558, 0.1461646325895801,
] as const;

/** sin(g pi / 2) = g (c0 + c1 g^2 + …), |g| <= 1/2. */
export const SINE = [
  1.5707963267948966, -0.6459640975062443, 0.07969262624604301, -0.004681754132340976,
  0.0001604411507421909, -3.59864335298231e-6, 5.633933781537854e-8,
] as const;

/** cos(g pi / 2) = c0 + c1 g^2 + …, |g| <= 1/2. */
export const COSINE = [
  1, -1.2337005501361697, 0.2536695079010467, -0.02086348076331121, 0.0009192602741831558,
  -2.520203677046026e-5, 4.710609726757823e-7, -6.321256869628588e-9,
] as const;

/** The float64 nearest to log 2. */
export const LN2 = 0.6931471805599453;

/** High words of the float64 numbers sqrt(1/2), where mantissas are cut, and 1. */
export const HALF_ROOT = 0x3fe6a09e;
export const ONE = 0x3ff00000;
