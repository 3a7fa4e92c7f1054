import { readFileSync } from "node:fs";
import { certifiedRadius, clopperPearsonLower, readLog } from "@dmae/smoothing-certify";
import { highProbabilityAccuracy } from "@dmae/smoothing-certify/report";
import { expect, it } from "vitest";

// The numbers of the page: what follows from the votes that docs/pictures.ts counted, and from the shipped log.

const page = readFileSync(new URL("certificate.md", import.meta.url), "utf8");

it("states the radius that the votes of its picture give, rounded down", () => {
  const [, sneaker, boot] = /([\d,]+) were classified as Sneaker and (\d+) as/.exec(page)!;
  const votes = Number(sneaker!.replace(",", ""));
  expect(votes + Number(boot)).toBe(10_000);
  const bound = clopperPearsonLower(votes, 10_000, 0.001);
  const radius = certifiedRadius(bound, 0.25);
  const down = (value: number, digits: number) =>
    (Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits);
  expect(page).toContain(`a lower bound, ${down(100 * bound, 1)} %`);
  expect(page).toContain(`distance **${down(radius, 2)}**`);
  expect(0.033 * Math.sqrt(100)).toBeLessThanOrEqual(radius);
  expect(0.012 * 28).toBeLessThanOrEqual(radius);
});

it("has a table of exact radii, rounded down", () => {
  const row = (name: string) =>
    new RegExp(`\\| ${name} \\|(.*)\\|`)
      .exec(page)![1]!
      .split("|")
      .map((cell) => Number.parseFloat(cell));
  const radii = row("radius");
  row("share of the votes").forEach((share, i) => {
    const exact = certifiedRadius(share / 100, 0.25);
    expect(radii[i]).toBeLessThanOrEqual(exact);
    expect(radii[i]).toBeGreaterThan(exact - 0.001);
  });
});

it("describes the curve of the shipped log", async () => {
  const log = "../../packages/models/files/fashion-mnist-cr-0.25/certified.tsv.gz";
  const rows = await readLog(new URL(log, import.meta.url));
  const [, curve] = /\[Certified accuracy against radius: (.*?)\]/s.exec(page)!;
  const points = [...curve!.replace(/\s+/g, " ").matchAll(/([\d.]+) % at ([\d.]+)/g)];
  expect(points).toHaveLength(4);
  for (const [, share, radius] of points) {
    const certified = rows.filter((row) => row.correct && row.radius >= Number(radius)).length;
    expect(Math.round((100 * certified) / rows.length)).toBe(Number(share));
  }
  expect(rows).toHaveLength(1000);
  expect(Math.max(...rows.map((row) => row.radius))).toBeCloseTo(0.8, 3);
});

it("states what all certificates of the shipped log prove together", async () => {
  const log = "../../packages/models/files/fashion-mnist-cr-0.25/certified.tsv.gz";
  const rows = await readLog(new URL(log, import.meta.url));
  const proved = highProbabilityAccuracy(rows, [0, 0.25, 0.5, 0.75]);
  expect(page).toContain(`// [${proved.join(", ")}]`);
  expect(page).toContain(`below ${(100 * proved[2]!).toFixed(1)} %, and likewise`);
  const [, wrong] = /More than (\d+) of 1,000/.exec(page)!;
  const certified = rows.filter((row) => row.correct).length;
  expect(proved[0]).toBe((certified - Number(wrong)) / 1000);
});
