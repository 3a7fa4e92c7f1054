import type { TrainingProgress } from "@dmae/train";

/** Collects steps; gives the means of an epoch with its last step. */
export function epochMeans() {
  let sums: Record<string, number> = {};
  let count = 0;
  return {
    add({ epoch, metrics }: TrainingProgress): Readonly<Record<string, number>> | undefined {
      count++;
      for (const [name, value] of Object.entries(metrics)) sums[name] = (sums[name] ?? 0) + value;
      if (Math.abs(epoch - Math.round(epoch)) > 1e-9) return undefined;
      const means = Object.fromEntries(
        Object.entries(sums).map(([name, sum]) => [name, sum / count]),
      );
      const finished = { epoch: Math.round(epoch), microBatches: count, ...means };
      sums = {};
      count = 0;
      return finished;
    },
  };
}
