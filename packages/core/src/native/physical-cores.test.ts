import os from "node:os";
import { afterEach, describe, expect, it, vi } from "vitest";
import { physicalCores } from "./physical-cores.ts";

afterEach(() => vi.restoreAllMocks());

describe("physicalCores", () => {
  it("counts the cores of this machine", () => {
    expect(physicalCores()).toBeGreaterThanOrEqual(1);
    expect(physicalCores()).toBeLessThanOrEqual(os.cpus().length);
    expect(Number.isInteger(physicalCores())).toBe(true);
  });

  it("counts only those that this process is bound to", () => {
    vi.spyOn(os, "availableParallelism").mockReturnValue(1);
    expect(physicalCores()).toBe(1);
  });
});
