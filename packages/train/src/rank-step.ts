import { DmaeError, type HostTensor, type HostTensors, type World } from "@dmae/core";
import type { Executor, PreparedSteps, TensorSpecs } from "@dmae/nn";
import type { Metrics } from "./metrics.ts";
import { prefixed, scalarTensors, unprefixed } from "./names.ts";
import type { SplitStep } from "./train-step.ts";

/** How a run is shared by ranks, see {@link FitOptions}. */
export interface RanksOptions {
  /** The ranks. */
  readonly world: World;
  /** The step in two parts, `split` of a `TrainStep`. */
  readonly split: SplitStep;
  /** Share of the rows of every batch that this rank has; over all ranks they add up to 1. */
  readonly share: number;
  /** Facts that must be the same on every rank, as plain JSON: they are compared before the run begins. */
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
}

/** A step that every rank makes together. */
export interface RankStep {
  /** Computes this rank's gradients, joins them and updates; returns the means over all rows. */
  run(batch: HostTensors, step: number, wantsStop: boolean): Promise<RankMetrics>;
  /** A copy of the state, the same on every rank. */
  state(): Promise<Record<string, HostTensor>>;
  /** Frees state and programs. */
  dispose(): void;
}

/** What a step of all ranks measured. */
export interface RankMetrics {
  /** Weighted means over the ranks. */
  readonly metrics: Metrics;
  /** Whether a rank wants to stop. */
  readonly stop: boolean;
}

/** Makes a step of all ranks ready. */
export async function prepareRankStep(
  executor: Executor,
  init: { readonly state: HostTensors; readonly batch: TensorSpecs },
  ranks: RanksOptions,
): Promise<RankStep> {
  const { split, world } = ranks;
  const state = ownPart(split.withGradients(init.state), world);
  const gradients = Object.keys(state).filter((name) => name.startsWith("gradients."));
  if (!executor.prepareSteps)
    throw new DmaeError(
      "unsupported",
      `fit: training on ${world.size} ranks needs an executor with prepareSteps, got ${executor.name}; ` +
        "use eagerExecutor() or compiledExecutor()",
    );
  const scalars = split.inputs(lastOfGroup(split));
  const isScalar = (name: string) => name.startsWith("scalars.");
  const batch = Object.fromEntries(Object.entries(init.batch).filter(([name]) => !isScalar(name)));
  const steps = await executor.prepareSteps({
    state,
    steps: {
      gradients: {
        step: split.gradients,
        batch: { ...batch, ...shapes({ ...scalars.gradients, ...shareOf(ranks) }) },
      },
      update: { step: split.update, batch: shapes(scalars.update!) },
    },
    exchanged: gradients,
  });
  return rankStep(steps, Object.keys(init.state), ranks);
}

function rankStep(
  steps: PreparedSteps,
  stored: readonly string[],
  { world, split, share }: RanksOptions,
): RankStep {
  let areSummed = true; // each rank's gradients, or the sum of all of them
  return {
    async run(batch, step, wantsStop) {
      const { gradients, update } = split.inputs(step);
      const rows = Object.entries(batch).filter(([name]) => !name.startsWith("scalars."));
      const inputs = { ...Object.fromEntries(rows), ...gradients, ...shareOf({ share }) };
      const own = await steps.run("gradients", inputs);
      requireFinite(own);
      const means = joinMetrics(world, own, share, wantsStop);
      means.catch(() => {}); // awaited below, unless the exchange fails first
      areSummed = update !== null;
      if (update === null) return means;
      await steps.exchange(async (arrays) => {
        for (const array of arrays) await world.allReduce(array);
      });
      const updated = await steps.run("update", update);
      const { metrics, stop } = await means;
      return { metrics: { ...metrics, ...updated }, stop };
    },
    async state() {
      const state = await steps.state();
      const names = [...split.buffers].flatMap((name) => [`params.${name}`, `ema.${name}`]);
      const buffers = names.flatMap((name) => state[name] ?? []);
      await joinBuffers(world, buffers, share);
      if (!areSummed)
        for (const { data } of Object.values(unprefixed("gradients.", state)))
          await world.allReduce(data as Float32Array);
      return Object.fromEntries(stored.map((name) => [name, state[name]!]));
    },
    dispose: () => steps.dispose(),
  };
}

/** Gradients that a checkpoint holds are the sum of all ranks, so that one of them goes on from it. */
function ownPart(state: HostTensors, { rank }: World): HostTensors {
  if (rank === 0) return state;
  return Object.fromEntries(
    Object.entries(state).map(([name, tensor]) => [
      name,
      name.startsWith("gradients.")
        ? { ...tensor, data: new Float32Array(tensor.data.length) }
        : tensor,
    ]),
  );
}

/** Means over all rows, and whether any rank wants to stop. */
async function joinMetrics(
  world: World,
  own: Metrics,
  share: number,
  wantsStop: boolean,
): Promise<RankMetrics> {
  const names = Object.keys(own);
  const sums = Float64Array.of(...names.map((name) => own[name]! * share), Number(wantsStop));
  await world.allReduce(sums);
  const metrics = Object.fromEntries(names.map((name, i) => [name, sums[i]!]));
  return { metrics, stop: sums.at(-1)! > 0 };
}

/**
 * Replaces running statistics, and their moving averages, by their means over the ranks. That is what one process would
 * have where the statistics of a batch are means over its rows, or over groups of rows that one rank has each, as in
 * linear probing. The variance over all rows is no such mean: tasks with batch normalisation over the whole batch refuse
 * several ranks.
 */
async function joinBuffers(
  world: World,
  buffers: readonly HostTensor[],
  share: number,
): Promise<void> {
  for (const { data } of buffers) {
    const sums = Float64Array.from(data, (value) => value * share);
    await world.allReduce(sums);
    data.set(sums);
  }
}

/** The rank that meets such a value says so; the others wait for it in the next operation until they are ended. */
function requireFinite(metrics: Metrics): void {
  for (const [name, value] of Object.entries(metrics))
    if (!Number.isFinite(value))
      throw new DmaeError("numeric", `fit: ${name} must be finite, got ${value}`, { name, value });
}

const shareOf = ({ share }: { readonly share: number }) =>
  prefixed("scalars.", scalarTensors({ share }));

const shapes = (tensors: HostTensors): TensorSpecs =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );

/** Some micro-batch that ends a group: its inputs have every name. */
function lastOfGroup(split: SplitStep): number {
  let step = 0;
  while (split.inputs(step).update === null) step++;
  return step;
}
