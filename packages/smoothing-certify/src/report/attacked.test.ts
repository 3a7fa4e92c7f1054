import { expect, it } from "vitest";
import { testCertificates } from "./attacked.ts";

const rows = (inside: number, outside: number) => [
  ...Array.from({ length: inside }, () => ({ certified: 1, attacked: 0.9 })),
  ...Array.from({ length: outside }, (_, i) => ({
    certified: 1,
    attacked: i % 2 ? 1.1 : Infinity,
  })),
];

it("counts attacks within certified radii among all images: alpha bounds certified and wrong together", () => {
  const abstained = { certified: 0, attacked: 0 };
  expect(testCertificates([...rows(1, 99), abstained], 0.01)).toMatchObject({
    tested: 101,
    inside: 1,
  });
  // p = 0.45, n = 100, alpha = 0.01: few images are certified, and those that are are wrong
  const few = [...rows(4, 0), ...Array.from({ length: 9996 }, () => abstained)];
  expect(testCertificates(few, 0.011)).toMatchObject({ tested: 10_000, inside: 4, isFault: false });
  expect(testCertificates([], 0.01)).toEqual({ tested: 0, inside: 0, pValue: 1, isFault: false });
});

it("tests the count against alpha: scipy.stats.binom.sf(k - 1, 100, 0.01), SciPy 1.17.1", () => {
  expect(testCertificates(rows(0, 100), 0.01).pValue).toBe(1);
  expect(testCertificates(rows(1, 99), 0.01).pValue).toBeCloseTo(0.6339676587267705, 10);
  expect(testCertificates(rows(4, 96), 0.01)).toMatchObject({ isFault: false });
  expect(testCertificates(rows(4, 96), 0.01).pValue).toBeCloseTo(0.018374036444649678, 12);
  expect(testCertificates(rows(7, 93), 0.01).pValue).toBeCloseTo(7.108366137124744e-5, 14);
  expect(testCertificates(rows(7, 93), 0.01)).toMatchObject({ inside: 7, isFault: true });
});

it("refuses what is no radius, and alpha outside (0, 1)", () => {
  expect(() => testCertificates([{ certified: -1, attacked: 1 }], 0.01)).toThrow(
    "testCertificates: certified and attacked must be radii >= 0, got -1 and 1",
  );
  expect(() => testCertificates([{ certified: 1, attacked: Number.NaN }], 0.01)).toThrow(
    "got 1 and NaN",
  );
  expect(() => testCertificates([], 0)).toThrow("alpha must lie in (0, 1), got 0");
});
