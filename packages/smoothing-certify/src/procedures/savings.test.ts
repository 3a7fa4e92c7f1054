import { expect, it } from "vitest";
import { replay } from "../__fixtures__/replay-log.ts";
import { readLog } from "../log/log-file.ts";

it.each(["cohen", "cat-rs"])(
  "the sequential test needs 25 and 150 times fewer samples on %s, for at most 0.25 points",
  async (name) => {
    const log = `../__fixtures__/published/noise_0.5/${name}/noise_0.5.tsv.gz`;
    const rows = await readLog(new URL(log, import.meta.url));
    for (const [cap, times, which] of [
      [10_000, 25, 0],
      [100_000, 150, 1],
    ] as const) {
      const runs = [0, 1, 2, 3].map((run) => replay(rows, 0.5, 0.5, cap, run));
      const mean = (value: (run: (typeof runs)[number]) => number) =>
        runs.reduce((sum, run) => sum + value(run) / runs.length, 0);
      expect((cap + 100) / mean((run) => run.sequential.samples)).toBeGreaterThan(times);
      const lost = mean((run) => run.fixed[which]!.certified - run.sequential.certified);
      expect(lost / rows.length).toBeLessThanOrEqual(0.0025);
    }
  },
  60_000,
);
