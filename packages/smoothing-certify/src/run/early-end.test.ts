import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import { readLog } from "../log/log-file.ts";
import { certify } from "../procedures/certify.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";

const folder = temporaryFolders("early-end");
const options = { seed: 0, sigma: 0.5, n0: 10, n: 100, batchSize: 50 };

/** The classes of `halves`, and from the 20th batch on those of a classifier that takes a mean over the batch. */
function mixingLater() {
  let batches = 0;
  return (batch: Float32Array, shape: number[]) => {
    if (++batches < 20) return halves(batch, shape);
    const mean = batch.reduce((sum, v) => sum + v, 0) / batch.length;
    return halves(
      batch.map((v) => v - mean),
      shape,
    );
  };
}

describe("a run whose classifier fails", () => {
  const failing = (classify: typeof halves) => {
    let batches = 0;
    return (batch: Float32Array, shape: number[]) => {
      if (++batches === 60) throw new Error("out of memory");
      return classify(batch, shape);
    };
  };
  const run = async (classify: typeof halves, log: string) => {
    for await (const _ of certifyDataset(failing(classify), steps(40), { ...options, log }));
  };

  it("has its rows checked where the classifier still answers, and taken back", async () => {
    const log = join(folder(), "log.tsv");
    await expect(run(mixingLater(), log)).rejects.toThrow("do not use the rows of this run");
    await expect(readLog(log)).rejects.toThrow("its rows are no certificates");
  });

  it("keeps its rows where they are fine, and reports its own error", async () => {
    const log = join(folder(), "log.tsv");
    await expect(run(halves, log)).rejects.toThrow("out of memory");
    expect((await readLog(log)).length).toBeGreaterThan(5);
  });
});

describe("a loop that is left early", () => {
  it.each(["break", "throw"] as const)("has its rows checked, and taken back (%s)", async (how) => {
    const log = join(folder(), "log.tsv");
    const leave = async () => {
      for await (const { idx } of certifyDataset(mixingLater(), steps(40), { ...options, log })) {
        if (idx === 15 && how === "break") break;
        if (idx === 15) throw new Error("enough");
      }
    };
    await expect(leave()).rejects.toThrow(
      how === "break" ? /at the end of the run.*do not use the rows of this run/ : "enough",
    );
    await expect(readLog(log)).rejects.toThrow("its rows are no certificates");
  });

  it("keeps the rows of a classifier that is fine", async () => {
    const log = join(folder(), "log.tsv");
    for await (const { idx } of certifyDataset(halves, steps(40), { ...options, log }))
      if (idx === 5) break;
    expect(await readLog(log)).toHaveLength(6);
    expect(readFileSync(log, "utf8")).not.toContain("invalid");
  });
});

describe("a run whose caller's function fails", () => {
  const run = async (classify: typeof halves, log: string) => {
    const onProgress = ({ done }: { done: number }) => {
      if (done === 16) throw new Error("no room for progress");
    };
    const rows = certifyDataset(classify, steps(40), { ...options, log, onProgress });
    for await (const _ of rows);
  };

  it("has its rows checked, and taken back", async () => {
    const log = join(folder(), "log.tsv");
    await expect(run(mixingLater(), log)).rejects.toThrow("do not use the rows of this run");
    await expect(readLog(log)).rejects.toThrow("its rows are no certificates");
  });

  it("keeps its rows where they are fine, and reports that error", async () => {
    const log = join(folder(), "log.tsv");
    await expect(run(halves, log)).rejects.toThrow("no room for progress");
    expect(await readLog(log)).toHaveLength(16);
  });

  it("reports that error where the classifier fails too", async () => {
    const log = join(folder(), "log.tsv");
    let hasFailed = false;
    const classify = (batch: Float32Array, shape: number[]) => {
      if (hasFailed) throw new Error("out of memory");
      return halves(batch, shape);
    };
    const onProgress = ({ done }: { done: number }) => {
      hasFailed = done === 16;
      if (hasFailed) throw new Error("no room for progress");
    };
    const rows = certifyDataset(classify, steps(40), { ...options, log, onProgress });
    await expect(rows.toArray()).rejects.toThrow("no room for progress");
    expect(await readLog(log)).toHaveLength(16);
  });
});

describe("a caller that throws into the rows", () => {
  it("has them checked, and taken back", async () => {
    const log = join(folder(), "log.tsv");
    const rows = certifyDataset(mixingLater(), steps(40), { ...options, log });
    for (let i = 0; i < 16; i++) await rows.next();
    await expect(rows.throw(new Error("enough"))).rejects.toThrow(
      "do not use the rows of this run",
    );
    await expect(readLog(log)).rejects.toThrow("its rows are no certificates");
  });
});

describe("a synchronous classifier", () => {
  const slow = (batch: Float32Array, shape: number[]) => {
    for (const start = performance.now(); performance.now() - start < 5; );
    return halves(batch, shape);
  };

  it("is stopped by a signal that a timer aborts", async () => {
    const run = { ...options, n: 10_000_000, numClasses: 2, signal: AbortSignal.timeout(50) };
    await expect(certify(slow, [0.5], run)).rejects.toThrow(/timeout/);
  });

  it("lets other timers in", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await certify(slow, [0.5], { ...options, n: 2000, numClasses: 2 });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
  });
});

it.each([
  [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
])("logits that are all infinite are an error (%s, %s)", async (a, b) => {
  const infinite = (_: Float32Array, [n = 0]: number[]) => Array.from({ length: n }, () => [a, b]);
  await expect(certify(infinite, [0.5], options)).rejects.toThrow(
    "the classifier must return logits of which one is finite, got only infinite ones for row 0",
  );
});
