/**
 * Holm's step-down test (1979): which of N hypotheses are rejected so that any true one is with probability
 * alpha at most, whatever the dependence between them. The k-th smallest p-value is compared with
 * `alpha / (N - k + 1)`, until one is larger.
 */
export function holmRejects(pValues: ArrayLike<number>, alpha: number): Uint8Array {
  const order = Float64Array.from(pValues).sort();
  let limit = -1; // rejected are all p-values up to it
  for (let k = 0; k < order.length; k++) {
    if (!(order[k]! <= (alpha / (order.length - k)) * (1 - 2 ** -50))) break;
    limit = order[k]!;
  }
  return Uint8Array.from(pValues, (p) => (p <= limit ? 1 : 0));
}
