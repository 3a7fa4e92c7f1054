/**
 * A share in percent with one digit after the point, and with as many more as it takes not to read 0 or
 * 100 where it is neither: 9,995 of 10,000 are 99.95, not 100.0.
 */
export function percentText(share: number): string {
  for (let digits = 1; ; digits++) {
    const text = (100 * share).toFixed(digits);
    const isRound = Number(text) === 0 || Number(text) === 100;
    if (!isRound || share === 0 || share === 1) return text;
    if (digits === 9) return share < 0.5 ? "0.000000001" : "99.999999999";
  }
}
