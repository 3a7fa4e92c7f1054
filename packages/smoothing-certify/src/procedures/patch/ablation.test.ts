import { describe, expect, it } from "vitest";
import { type Ablation, ablationsOf } from "./ablation.ts";

/** Pixels that each copy keeps, from the definition: start + 0 … size - 1, round the border. */
function keptByDefinition(ablation: Ablation, stride: number, height: number, width: number) {
  const cells = (length: number, size: number) => {
    const bands: Set<number>[] = [];
    for (let start = 0; start < length; start += stride)
      bands.push(new Set(Array.from({ length: size }, (_, i) => (start + i) % length)));
    return bands;
  };
  const all = (length: number) => [new Set(Array.from({ length }, (_, i) => i))];
  const rows = "columns" in ablation ? all(height) : cells(height, Object.values(ablation)[0]!);
  const columns = "rows" in ablation ? all(width) : cells(width, Object.values(ablation)[0]!);
  return rows.flatMap((r) =>
    columns.map((c) => (row: number, column: number) => r.has(row) && c.has(column)),
  );
}

/** Copies that keep a pixel of the patch, at the worst place. */
function mostMetByDefinition(
  copies: readonly ((row: number, column: number) => boolean)[],
  [patchHeight, patchWidth]: readonly [number, number],
  height: number,
  width: number,
): number {
  let most = 0;
  for (let top = 0; top + patchHeight <= height; top++)
    for (let left = 0; left + patchWidth <= width; left++) {
      const meets = (keeps: (row: number, column: number) => boolean) => {
        for (let row = top; row < top + patchHeight; row++)
          for (let column = left; column < left + patchWidth; column++)
            if (keeps(row, column)) return true;
        return false;
      };
      most = Math.max(most, copies.filter(meets).length);
    }
  return most;
}

describe("ablationsOf, against the definition pixel by pixel", () => {
  const kinds = [
    (size: number) => ({ columns: size }),
    (size: number) => ({ rows: size }),
    (size: number) => ({ block: size }),
  ];
  it.each([
    [4, 7],
    [6, 6],
    [5, 8],
  ])("images of %i x %i: every size, stride and patch", (height, width) => {
    let compared = 0;
    for (const kind of kinds)
      for (let size = 1; size <= Math.min(height, width); size++)
        for (let stride = 1; stride <= Math.min(height, width); stride++) {
          const copies = keptByDefinition(kind(size), stride, height, width);
          const ablations = ablationsOf("test", kind(size), stride, [height, width]);
          expect(ablations.count).toBe(copies.length);
          for (let row = 0; row < height; row++)
            for (let column = 0; column < width; column++)
              copies.forEach((keeps, i) => {
                expect(ablations.keeps(i, row, column)).toBe(keeps(row, column));
              });
          for (const patch of [
            [1, 1],
            [2, 2],
            [1, 3],
            [3, 2],
            [4, 4],
          ] as const) {
            const want = mostMetByDefinition(copies, patch, height, width);
            expect(ablations.mostMet(patch), `${ablations.name}, patch ${patch}`).toBe(want);
            compared++;
          }
        }
    expect(compared).toBeGreaterThan(200);
  });

  it("finds what the formula ceil((m + s - 1) / stride) misses where bands wrap", () => {
    const met = (side: number, columns: number, stride: number, patch: number) =>
      ablationsOf("test", { columns }, stride, [side, side]).mostMet([patch, patch]);
    expect(met(28, 4, 3, 5)).toBe(4); // the formula: 3
    expect(met(224, 19, 10, 32)).toBe(6); // the formula: 5
    expect(met(28, 4, 1, 5)).toBe(8); // the formula's own value
    expect(met(224, 19, 10, 224)).toBe(23);
  });

  it.each([
    [{ columns: 0 }, 1, "ablation.columns must be an integer of at least 1, got 0"],
    [{ columns: 9 }, 1, "ablation.columns must be at most 8, the image's side, got 9"],
    [{ block: 7 }, 1, "ablation.block must be at most 6"],
    [{ columns: 4 }, 0, "stride must be an integer of at least 1, got 0"],
    [{ columns: 4 }, 9, "stride must be at most 8"],
    [{ column: 4 }, 1, "{ block: size }, e.g. { columns: 4 }, got { column }"],
    [{ columns: 4, rows: 4 }, 1, "got { columns, rows }"],
    [4, 1, "e.g. { columns: 4 }, got 4"],
    [undefined, 1, "e.g. { columns: 4 }, got undefined"],
  ])("refuses %o with stride %i", (ablation, stride, message) => {
    expect(() => ablationsOf("certifyPatch", ablation as Ablation, stride, [6, 8])).toThrow(
      message,
    );
  });
});
