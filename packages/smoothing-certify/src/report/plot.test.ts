import { describe, expect, it } from "vitest";
import type { LogRow } from "../log/log-row.ts";
import { certifiedAccuracySvg } from "./plot.ts";

const row = (idx: number, radius: number, correct: 0 | 1): LogRow => ({
  idx,
  label: 0,
  predict: correct ? 0 : 1,
  radius,
  correct,
  time: 0,
});

describe("certifiedAccuracySvg", () => {
  // 4 images: correct at 0.5, 0.5 and 1, one wrong; axes: 0 … 1 is 62 … 624, 0 … 100 % is 350 … 16
  const rows = [row(0, 0.5, 1), row(1, 0.5, 1), row(2, 1, 1), row(3, 9, 0)];

  it("draws the step curve of certified accuracy", () => {
    const svg = certifiedAccuracySvg([{ name: "a & b", rows }]);
    expect(svg).toContain(
      'points="62.00,99.50 343.00,99.50 343.00,266.50 624.00,266.50 624.00,350.00"',
    );
    expect(svg).toContain(">a &amp; b</text>");
  });

  it("keeps to a few ticks at any radius, and refuses an infinite one", () => {
    const far = (radius: number) => [{ name: "far", rows: [row(0, radius, 1)] }];
    for (const radius of [0.01, 0.7, 3, 77, 1e5])
      expect(certifiedAccuracySvg(far(radius)).length).toBeLessThan(4000);
    expect(() => certifiedAccuracySvg(far(Number.POSITIVE_INFINITY))).toThrow(
      "every radius must be finite",
    );
  });

  it("draws one curve for each log", () => {
    const svg = certifiedAccuracySvg([
      { name: "a", rows },
      { name: "b", rows: rows.slice(2) },
    ]);
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(() => certifiedAccuracySvg([])).toThrow("give at least one log");
    expect(() => certifiedAccuracySvg([{ name: "a", rows: [] }])).toThrow("each with rows");
  });
});
