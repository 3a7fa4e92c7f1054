import { describe, expect, it } from "vitest";
import { type LegacyUtil, supplyUtil } from "./node-util.ts";

describe("supplyUtil", () => {
  it("supplies what is missing with the old meaning", () => {
    const util: LegacyUtil = {};
    supplyUtil(util);
    expect([undefined, null, 0, "", false].map((value) => util.isNullOrUndefined!(value))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect([[], { length: 0 }].map((value) => util.isArray!(value))).toEqual([true, false]);
  });

  it("keeps what is there", () => {
    const isArray = () => true;
    const util: LegacyUtil = { isArray };
    supplyUtil(util);
    expect(util.isArray).toBe(isArray);
  });
});
