import { expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { interpolatePositions, sincosPositions2d } from "./positions.ts";
import { positionTensor } from "./vit.ts";

const fixture = readFixture(new URL("./__fixtures__/geometry.safetensors", import.meta.url));

test.each([
  [16, 4, true],
  [8, 1, true],
  [12, 3, true],
])(
  "sincosPositions2d: width %d, grid %d, class token %s, as in the official code",
  (width, grid, cls) => {
    const name = `pos_embed_sincos.sincos_dim${width}_grid${grid}_cls${cls ? 1 : 0}`;
    expectClose(sincosPositions2d(width, grid, cls), fixture.get(name).data, { absolute: 1e-12 });
  },
);

test("sincosPositions2d by hand: width 4, column in the first half, row in the second", () => {
  const expected = [
    ...[0, 0, 0, 0],
    ...[Math.sin(0), Math.cos(0), Math.sin(0), Math.cos(0)],
    ...[Math.sin(1), Math.cos(1), Math.sin(0), Math.cos(0)],
    ...[Math.sin(0), Math.cos(0), Math.sin(1), Math.cos(1)],
    ...[Math.sin(1), Math.cos(1), Math.sin(1), Math.cos(1)],
  ];
  expectClose(sincosPositions2d(4, 2), expected, { absolute: 1e-15 });
  expectClose(sincosPositions2d(4, 2, false), expected.slice(4), { absolute: 1e-15 });
  expect(() => sincosPositions2d(6, 2)).toThrow(/width must be a multiple of 4, got 6/);
});

test("positionTensor is the same table in float32", () => {
  const tensor = positionTensor(16, 4);
  expect(tensor.shape).toEqual([1, 17, 16]);
  expect(tensor.data).toEqual(Float32Array.from(sincosPositions2d(16, 4)));
});

test.each([
  ["dim8_14to24", 24],
  ["dim6_14to8", 8],
  ["dim4_7to14", 14],
])("interpolatePositions %s: the official interpolation in float64, rounded once", (name, grid) => {
  const { shape, data } = fixture.get(`pos_embed_interpolate.${name}.in`);
  const positions = { dtype: "float32", shape, data: data as Float32Array } as const;
  const result = interpolatePositions(positions, grid);
  expect(result.shape).toEqual([1, 1 + grid * grid, shape[2]]);
  const expected = fixture.get(`pos_embed_interpolate.${name}.out_float64`).data;
  expectClose(result.data, expected, { relative: 6e-8, absolute: 1e-12 });
});

test("interpolatePositions: the same grid is a copy, and no square grid is an error", () => {
  const positions = positionTensor(8, 3);
  const copy = interpolatePositions(positions, 3);
  expect(copy).toEqual(positions);
  expect(copy.data).not.toBe(positions.data);
  const bad = { dtype: "float32", shape: [1, 8, 4], data: new Float32Array(32) } as const;
  expect(() => interpolatePositions(bad, 3)).toThrow(/\[1, 1 \+ g\^2, D\], got \[1,8,4\]/);
});
