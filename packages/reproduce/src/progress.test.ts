import process from "node:process";
import { afterEach, expect, it, vi } from "vitest";
import { progressLine } from "./progress.ts";

afterEach(() => vi.useRealTimers());

it.runIf(process.stderr.isTTY !== true)(
  "tells a line at every tenth, and every five minutes of a long tenth",
  () => {
    vi.useFakeTimers();
    const lines: string[] = [];
    const line = progressLine("train", "steps", (text) => lines.push(text));
    for (let step = 1; step <= 200; step++) {
      line.update(step, 1000, "loss 2");
      vi.advanceTimersByTime(step < 100 ? 4000 : 100); // 400 s for the first tenth, 10 s for the second
    }
    expect(lines).toEqual([
      "train 1/1000 · loss 2",
      "train 76/1000 · 0.3 steps/s · 1:01:36 left · loss 2",
      "train 100/1000 · 0.3 steps/s · 1:00:00 left · loss 2",
      "train 200/1000 · 0.5 steps/s · 27:12 left · loss 2",
    ]);
    line.end("done");
    expect(lines.at(-1)).toBe("train: done (6:46)");
  },
);
