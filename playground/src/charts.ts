// Pictures of results, as SVG and table rows.
import type { AnytimeResult } from "@dmae/smoothing-certify";

/** Votes so far, the most frequent classes first. */
export function voteRows(counts: readonly number[], nameOf: (c: number) => string): string {
  const total = Math.max(
    1,
    counts.reduce((sum, count) => sum + count, 0),
  );
  const most = [...counts.entries()].sort(([, a], [, b]) => b - a).slice(0, 4);
  return most
    .map(
      ([c, count]) =>
        `<tr><th scope="row">${escaped(nameOf(c))}</th><td><span class="bar" style="width:${(100 * count) / total}%"></span></td><td>${count}</td></tr>`,
    )
    .join("");
}

/** Radius against samples, on a logarithmic axis. */
export function radiusChart(results: readonly AnytimeResult[], n: number, sigma: number): string {
  const most = Math.max(sigma, ...results.map(({ radius }) => radius)) * 1.15;
  const x = (samples: number) =>
    46 + (424 * Math.log(Math.max(1, samples / 30))) / Math.log(Math.max(2, (n + 100) / 30));
  const y = (radius: number) => 140 - (130 * radius) / most;
  const line = results.map((r, i) => {
    const before = y(results[i - 1]?.radius ?? 0);
    return `${x(r.samples).toFixed(1)},${before.toFixed(1)} ${x(r.samples).toFixed(1)},${y(r.radius).toFixed(1)}`;
  });
  const ticks = [100, 1000, 10_000, 100_000].filter((t) => t <= n + 100);
  return [
    `<path d="M46 5V140H472" fill="none" stroke="currentColor" opacity=".5"/>`,
    ...ticks.map(
      (t) => `<text x="${x(t)}" y="157" text-anchor="middle">${t.toLocaleString("en")}</text>`,
    ),
    ...[0, most / 2, most / 1.15].map(
      (r) => `<text x="40" y="${y(r) + 4}" text-anchor="end">${r.toFixed(2)}</text>`,
    ),
    `<polyline points="${line.join(" ")}" fill="none" stroke="var(--accent)" stroke-width="2.5"/>`,
  ].join("");
}

/** The certified radius and the smallest perturbation found, on one scale. */
export function radiusScale(certified: number, found: number): string {
  const most = (Number.isFinite(found) ? Math.max(found, certified) : 2 * certified || 1) * 1.1;
  const x = (radius: number) => 8 + (464 * radius) / most;
  const end = Number.isFinite(found) ? x(found) : 472;
  return [
    `<rect x="8" y="34" width="${x(certified) - 8}" height="14" fill="var(--accent)"/>`,
    `<rect x="${x(certified)}" y="34" width="${Math.max(0, end - x(certified))}" height="14" fill="currentColor" opacity=".18"/>`,
    `<text x="8" y="24">certified: ${certified.toFixed(3)}</text>`,
    Number.isFinite(found)
      ? `<path d="M${end} 28v26" stroke="#b3261e" stroke-width="3"/><text x="${Math.min(end, 472)}" y="72" text-anchor="end">attack found: ${found.toFixed(3)}</text>`
      : `<text x="472" y="72" text-anchor="end">nothing found</text>`,
  ].join("");
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
