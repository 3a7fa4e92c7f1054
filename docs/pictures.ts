// Draws the pictures of "What a certificate says" into docs/images, from a run of the shipped classifier on one test
// image: `npx pnpm --filter @dmae/docs pictures`.
import { writeFileSync } from "node:fs";
import { foldIn, key, normal } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import { pretrained } from "@dmae/models";
import { certifiedRadius, clopperPearsonLower, readLog } from "@dmae/smoothing-certify";
import { certifiedAccuracySvg } from "@dmae/smoothing-certify/report";
import { PNG } from "pngjs";

const sigma = 0.25;
const alpha = 0.001;
const [blue, orange, grey] = ["#0072b2", "#d55e00", "#666"];

const text = (x: number, y: number, content: string, style = "") =>
  `<text x="${x}" y="${y}" text-anchor="middle" ${style}>${content}</text>`;

const svg = (width: number, height: number, parts: string[]) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;

const save = (name: string, content: string) =>
  writeFileSync(new URL(`images/${name}.svg`, import.meta.url), content);

/** A grey 28x28 image of numbers around [0, 1], values outside cut off, as an SVG element. */
function picture(pixels: Float32Array, x: number, y: number, size: number): string {
  const png = new PNG({ width: 28, height: 28, colorType: 0 });
  pixels.forEach((value, i) => {
    const level = Math.round(255 * Math.min(1, Math.max(0, value)));
    png.data.set([level, level, level, 255], 4 * i);
  });
  const bytes = PNG.sync.write(png, { colorType: 0 }).toString("base64");
  return `<image x="${x}" y="${y}" width="${size}" height="${size}" style="image-rendering:pixelated" href="data:image/png;base64,${bytes}"/>`;
}

const argMax = (row: Float32Array) => row.indexOf(Math.max(...row));

/** Draws `count` noisy copies of `image` and asks the classifier about each. */
async function vote(image: Float32Array, count: number) {
  const copies = Array.from({ length: count }, (_, index) =>
    normal(foldIn(key(0), "pictures"), new Float32Array(image.length), {
      index,
      mean: image,
      standardDeviation: sigma,
    }),
  );
  const votes: number[] = [];
  for (let first = 0; first < count; first += 100) {
    const part = copies.slice(first, first + 100);
    const batch = new Float32Array(part.flatMap((copy) => [...copy]));
    const { data } = (await classifier.predict(batch, [part.length, 28, 28, 1])) as {
      data: Float32Array;
    };
    for (const i of part.keys()) votes.push(argMax(data.subarray(10 * i, 10 * i + 10)));
  }
  return { copies, votes };
}

/** The image and its first eleven copies, with the class of each. */
function noisyCopies(image: Float32Array, copies: Float32Array[], votes: number[]): string {
  const cells = [image, ...copies.slice(0, 11)].map((pixels, i) => {
    const [x, y] = [8 + 106 * (i % 6), 8 + 128 * Math.floor(i / 6)];
    const name = i === 0 ? "the image" : classifier.card.classNames[votes[i - 1]!]!;
    const color = i === 0 ? "#000" : name === "Sneaker" ? blue : orange;
    return picture(pixels, x, y, 98) + text(x + 49, y + 114, name, `fill="${color}"`);
  });
  return svg(644, 262, cells);
}

/** The bound on the share of votes, and the radius, after each number of votes. */
function tightening(votes: number[], label: number): string {
  const [left, bottom, width, height] = [56, 250, 560, 220];
  const x = (n: number) => left + (Math.log10(n / 10) / 3) * width;
  const y = (radius: number) => bottom - (radius / 0.4) * height;
  const points: string[] = [];
  let hits = 0;
  votes.forEach((vote, i) => {
    const n = i + 1;
    if (vote === label) hits++;
    const step = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1);
    if (n < 10 || n % step !== 0) return;
    const bound = clopperPearsonLower(hits, n, alpha);
    points.push(
      `${x(n).toFixed(1)},${y(bound > 0.5 ? certifiedRadius(bound, sigma) : 0).toFixed(1)}`,
    );
  });
  const limit = certifiedRadius(hits / votes.length, sigma);
  const axis = [10, 100, 1000, 10_000].map(
    (n) =>
      `<path d="M${x(n)} ${bottom}v-${height}" stroke="#ddd"/>` +
      text(x(n), bottom + 18, n.toLocaleString("en")),
  );
  const levels = [0, 0.1, 0.2, 0.3, 0.4].map(
    (r) =>
      `<path d="M${left} ${y(r)}h${width}" stroke="#ddd"/>` +
      text(left - 20, y(r) + 4, r.toFixed(1)),
  );
  return svg(644, 292, [
    ...axis,
    ...levels,
    `<path d="M${left} ${y(limit)}h${width}" stroke="${grey}" stroke-dasharray="5 4"/>`,
    text(left + 150, y(limit) - 7, "if the share seen were the exact one", `fill="${grey}"`),
    `<polyline points="${points.join(" ")}" fill="none" stroke="${blue}" stroke-width="2.5"/>`,
    text(left + width / 2, bottom + 36, "noisy copies"),
    text(16, bottom - height / 2, "radius", `transform="rotate(-90 16 ${bottom - height / 2})"`),
  ]);
}

/** Two clouds of noisy copies, the second moved by a change of 0.3. */
function clouds(): string {
  const density = (centre: number) =>
    Array.from({ length: 201 }, (_, i) => {
      const value = -0.8 + (i / 200) * 1.9;
      const height = Math.exp(-((value - centre) ** 2) / (2 * sigma ** 2));
      return `${(20 + 600 * (i / 200)).toFixed(1)},${(190 - 150 * height).toFixed(1)}`;
    }).join(" ");
  const at = (value: number) => 20 + (600 * (value + 0.8)) / 1.9;
  return svg(644, 232, [
    `<polygon points="20,190 ${density(0)} 620,190" fill="${blue}" fill-opacity="0.35"/>`,
    `<polygon points="20,190 ${density(0.3)} 620,190" fill="${orange}" fill-opacity="0.35"/>`,
    `<path d="M20 190h600" stroke="#000"/>`,
    `<path d="M${at(0)} 190v6M${at(0.3)} 190v6" stroke="#000"/>`,
    text(at(0) - 70, 24, "copies of the image", `fill="${blue}"`),
    text(at(0.3) + 90, 24, "copies of the changed image", `fill="${orange}"`),
    text(at(0), 212, "image"),
    text(at(0.3), 212, "changed image"),
  ]);
}

const classifier = await pretrained("fashion-mnist-cr-0.25");
const { test } = await fashionMnist();
const { image, label } = test.get(2600); // a sneaker; about one noisy copy in twelve is taken for an ankle boot
const { copies, votes } = await vote(Float32Array.from(image), 10_000);
const counts = classifier.card.classNames.map(
  (name, c) => [name, votes.filter((vote) => vote === c).length] as const,
);
console.log(counts.filter(([, count]) => count > 0));
const bound = clopperPearsonLower(counts[label]![1], votes.length, alpha);
console.log({ bound, radius: certifiedRadius(bound, sigma) });
save("noisy-copies", noisyCopies(Float32Array.from(image), copies, votes));
save("radius-and-votes", tightening(votes, label));
save("two-clouds", clouds());
const log = new URL(
  "../packages/models/files/fashion-mnist-cr-0.25/certified.tsv.gz",
  import.meta.url,
);
const rows = await readLog(log);
save("certified-accuracy", certifiedAccuracySvg([{ name: classifier.card.name, rows }]));
await classifier.dispose();
