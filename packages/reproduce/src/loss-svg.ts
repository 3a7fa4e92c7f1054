/** A step of the training log. */
export interface LossPoint {
  /** The step. */
  readonly step: number;
  /** Its loss. */
  readonly loss: number;
}

const [width, height, left, bottom, most] = [640, 240, 62, 34, 300];

/** The loss against the step as an SVG picture: means of at most 300 equal parts of the run. */
export function lossSvg(points: readonly LossPoint[]): string {
  const size = Math.ceil(points.length / most);
  const means = Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    const mean = part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    return { step: part.at(-1)!.step, loss: mean };
  });
  const losses = means.map(({ loss }) => loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const last = means.at(-1)!.step;
  const x = (step: number) => (left + (step / last) * (width - left - 16)).toFixed(1);
  const y = (loss: number) =>
    (height - bottom - ((loss - low) / (high - low || 1)) * (height - bottom - 16)).toFixed(1);
  const path = means.map(({ step, loss }) => `${x(step)},${y(loss)}`).join(" ");
  const text = (at: string, up: string, anchor: string, words: string) =>
    `<text x="${at}" y="${up}" text-anchor="${anchor}">${words}</text>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12">` +
    `<path d="M${left} 10V${height - bottom}H${width - 10}" fill="none" stroke="#999"/>` +
    `<polyline fill="none" stroke="#0072b2" stroke-width="1.6" points="${path}"/>` +
    text(String(left - 6), y(high), "end", high.toPrecision(4)) +
    text(String(left - 6), y(low), "end", low.toPrecision(4)) +
    text(x(last), String(height - 12), "end", `micro-batch ${last}`) +
    "</svg>"
  );
}
