import { DmaeError } from "@dmae/core";
import type { LogRow, LogSettings } from "../log/log-row.ts";

type Row = Partial<Pick<LogRow, "idx" | "settings">>;

/** An image that is there twice; images in ascending order take no memory. */
export function repeatedImage(images: readonly number[]): number | undefined {
  if (images.every((image, i) => i === 0 || image > images[i - 1]!)) return undefined;
  const seen = new Set<number>();
  return images.find((image) => seen.size === seen.add(image).size);
}

/** Throws for an image that is there twice, as an interval over images would be too narrow. */
export function checkOnce(caller: string, rows: readonly Row[]): void {
  const image = repeatedImage(rows.flatMap(({ idx }) => idx ?? []));
  if (image === undefined) return;
  throw new DmaeError(
    "argument",
    `${caller}: image ${image} is there twice, but the interval is one over images, each there once; give one run at a time`,
    { idx: image },
  );
}

/** Throws for an image that one run has twice. Rows of several runs may be put together: their mean is that over the runs. */
export function checkOnceARun(caller: string, rows: readonly Row[]): void {
  for (const images of imagesOfRuns(rows)) {
    const image = repeatedImage(images);
    if (image === undefined) continue;
    throw new DmaeError(
      "argument",
      `${caller}: image ${image} is there twice with the same settings; give each row of a run once`,
      { idx: image },
    );
  }
}

function imagesOfRuns(rows: readonly Row[]): Iterable<number[]> {
  const runs = new Map<string, number[]>();
  let [last, images]: [Row["settings"] | null, number[]] = [null, []];
  for (const { idx, settings } of rows) {
    if (idx === undefined) continue;
    if (settings !== last) {
      const { shard: _, indices: __, ...run } = settings ?? ({} as Partial<LogSettings>);
      const name = JSON.stringify(run);
      images = runs.get(name) ?? [];
      runs.set(name, images);
      last = settings;
    }
    images.push(idx);
  }
  return runs.values();
}
