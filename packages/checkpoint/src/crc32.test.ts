import { describe, expect, test } from "vitest";
import { crc32, portableCrc32 } from "./crc32.ts";

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe.each([
  ["crc32", crc32],
  ["portableCrc32", portableCrc32],
])("%s", (_, checksum) => {
  test("the check value of the polynomial, and nothing", () => {
    expect(checksum(ascii("123456789"))).toBe(0xcbf43926);
    expect(checksum(ascii(""))).toBe(0);
  });

  test("pieces give what the whole gives, wherever they are cut", () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 41) & 255);
    for (let cut = 0; cut <= 100; cut++)
      expect(checksum(bytes.subarray(cut), checksum(bytes.subarray(0, cut)))).toBe(checksum(bytes));
  });
});

test("both are the same", () => {
  const bytes = Uint8Array.from({ length: 10_007 }, (_, i) => (i * i) >> 3);
  expect(portableCrc32(bytes)).toBe(crc32(bytes));
  expect(portableCrc32(bytes.subarray(3), 5)).toBe(crc32(bytes.subarray(3), 5));
});
