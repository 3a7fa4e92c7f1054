import { DmaeError } from "@dmae/core";
import { checkInteger, show } from "../../checks.ts";

/** The part of the image that an ablated copy keeps: a band of columns or rows, or a square block; sizes in pixels. */
export type Ablation =
  | { readonly columns: number }
  | { readonly rows: number }
  | { readonly block: number };

/** A patch: the side of a square, or its height and width, in pixels. */
export type PatchSize = number | readonly [height: number, width: number];

/** The ablated copies of one size of image. */
export interface Ablations {
  /** Name for messages and tables, e.g. `columns 4, stride 1`. */
  readonly name: string;
  /** Number of ablated copies. */
  readonly count: number;
  /** Whether copy `index` keeps the pixel. */
  keeps(index: number, row: number, column: number): boolean;
  /** Most copies that a patch of this size meets, wherever it lies in the image. */
  mostMet(patch: readonly [height: number, width: number]): number;
}

/**
 * Enumerates the copies: bands start at 0, stride, 2 stride … and wrap round the border; blocks do so in both
 * directions.
 *
 * @throws {DmaeError} "argument" for an unknown ablation, or sizes and strides that exceed the image
 */
export function ablationsOf(
  caller: string,
  ablation: Ablation,
  stride: number,
  [height, width]: readonly [number, number],
): Ablations {
  const [kind, size] = readAblation(caller, ablation);
  const sides = kind === "rows" ? [height] : kind === "columns" ? [width] : [height, width];
  const most = Math.min(...sides);
  checkLength(caller, `ablation.${kind}`, size, most);
  checkLength(caller, "stride", stride, most);
  const rows = kind === "columns" ? everywhere(height) : bands(height, size, stride);
  const columns = kind === "rows" ? everywhere(width) : bands(width, size, stride);
  return {
    name: `${kind} ${size}, stride ${stride}`,
    count: rows.count * columns.count,
    keeps: (index, row, column) =>
      rows.keeps(Math.floor(index / columns.count), row) &&
      columns.keeps(index % columns.count, column),
    mostMet: ([patchHeight, patchWidth]) => rows.mostMet(patchHeight) * columns.mostMet(patchWidth),
  };
}

/** Height and width of a patch, checked against those of the image. */
export function readPatch(
  caller: string,
  patch: PatchSize,
  [height, width]: readonly [number, number],
): readonly [number, number] {
  const sides: readonly unknown[] = typeof patch === "number" ? [patch, patch] : patch;
  if (!Array.isArray(sides) || sides.length !== 2)
    throw new DmaeError(
      "argument",
      `${caller}: patch must be the side of a square or [height, width], in pixels, got ${show(patch)}`,
    );
  checkLength(caller, "the patch's height", sides[0], height);
  checkLength(caller, "the patch's width", sides[1], width);
  return sides as unknown as readonly [number, number];
}

/** The bands of one direction. */
interface Bands {
  readonly count: number;
  keeps(band: number, position: number): boolean;
  mostMet(patch: number): number;
}

const everywhere = (length: number): Bands => bands(length, length, length);

function bands(length: number, size: number, stride: number): Bands {
  const count = Math.ceil(length / stride);
  const after = (from: number, to: number) => (to - from + length) % length; // steps to the right, round the border
  return {
    count,
    keeps: (band, position) => after(band * stride, position) < size,
    mostMet(patch) {
      let most = 0;
      for (let start = 0; start + patch <= length; start++) {
        let met = 0;
        for (let band = 0; band < count; band++) {
          // two intervals of a circle meet where one of them begins within the other
          const first = band * stride;
          if (after(first, start) < size || after(start, first) < patch) met++;
        }
        most = Math.max(most, met);
      }
      return most;
    },
  };
}

function readAblation(caller: string, ablation: unknown): [Kind, number] {
  const entries = typeof ablation === "object" && ablation !== null ? Object.entries(ablation) : [];
  const [kind, size] = entries[0] ?? [];
  if (entries.length === 1 && kinds.includes(kind as Kind)) return [kind as Kind, size as number];
  throw new DmaeError(
    "argument",
    `${caller}: ablation must be { columns: size }, { rows: size } or { block: size }, e.g. { columns: 4 }, got ${entries.length > 0 ? `{ ${entries.map(([name]) => name).join(", ")} }` : show(ablation)}`,
  );
}

type Kind = "columns" | "rows" | "block";
const kinds: readonly Kind[] = ["columns", "rows", "block"];

function checkLength(caller: string, name: string, value: unknown, most: number): void {
  checkInteger(caller, name, value as number);
  if ((value as number) > most)
    throw new DmaeError(
      "argument",
      `${caller}: ${name} must be at most ${most}, the image's side, got ${value}`,
    );
}
