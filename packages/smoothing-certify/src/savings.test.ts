import { expect, it } from "vitest";
import { replay } from "./__fixtures__/replay-log.ts";
import { readLog } from "./log-file.ts";

it("the sequential test needs 25 and 150 times fewer samples on a published test set, at 0.25 points", async () => {
  const log = new URL(
    "./__fixtures__/published/noise_0.5/cat-rs/noise_0.5.tsv.gz",
    import.meta.url,
  );
  const rows = (await readLog(log)).filter((row) => row.idx % 5 === 0);
  const small = replay(rows, 0.5, 0.5, 10_000);
  expect(10_100 / small.sequential.samples).toBeGreaterThan(25);
  const large = replay(rows, 0.5, 0.5, 100_000);
  expect(100_100 / large.sequential.samples).toBeGreaterThan(150);
  for (const { sequential, fixed, images } of [small, large]) {
    const loss = (fixed[0]!.certified - sequential.certified) / images;
    expect(loss).toBeLessThanOrEqual(0.0025);
  }
  const lossOfMany = (large.fixed[1]!.certified - large.sequential.certified) / large.images;
  expect(lossOfMany).toBeLessThanOrEqual(0.0025);
});
