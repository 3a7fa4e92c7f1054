import { DmaeError, type HostTensor, type HostTensors, type World } from "@dmae/core";
import { gatherTexts } from "@dmae/core/ranks";
import type { PreparedStep, StepInit, TensorSpecs } from "@dmae/nn";
import { checksum } from "./checksum.ts";
import { checkFitOptions, type Evaluation, type FitOptions } from "./fit-options.ts";
import type { Metrics } from "./metrics.ts";
import { rateMeter } from "./progress.ts";
import { requireEqual, requireEqualParams, shareSaved } from "./rank-group.ts";
import { prepareRankStep, type RankMetrics } from "./rank-step.ts";
import { openRunFolder, type RunFolder } from "./run-folder.ts";

/** What {@link fit} returns. */
export interface FitResult {
  /** The state after the last step. */
  readonly state: Record<string, HostTensor>;
  /** Steps done in the whole run. */
  readonly step: number;
  /** Steps that an earlier process had done. */
  readonly resumedFrom: number;
  /** Scalars of the last step that this process made; empty if there was none. */
  readonly metrics: Metrics;
}

/**
 * Runs a pure step over numbered batches: prefetch, progress, log, checkpoints, evaluations. A run that was
 * interrupted anywhere, by an abort or by `kill -9`, and is started again with the same arguments ends with
 * the same bits as one that was not.
 *
 * @throws DmaeError "numeric" when the loss or the state is not finite, naming the step; `last.safetensors` then still
 *   holds the last good state. "argument" for an option outside its range. "resume" for a folder of another recipe. The signal's reason on abort.
 *
 * @example
 * const { state } = await fit({ executor, step: train.step, state: train.initState(params), steps: 500,
 *   batch: async (step) => ({ ...(await data(step)), ...train.inputs(step) }), folder: "runs/a", recipe });
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  checkFitOptions(options);
  const { ranks } = options;
  if (ranks === undefined) return fitFolder(options);
  return endingJob(ranks.world, (stop) => fitFolder(options, stop));
}

/**
 * Ends the job with an error of this rank, unless all ranks stopped together. They go on together as well: a launcher
 * ends every rank once one has failed, and rank 0 may still be writing the checkpoint.
 */
async function endingJob<T>(world: World, body: (stop: Stop) => Promise<T>): Promise<T> {
  const stop: Stop = { isAgreed: false };
  try {
    const result = await body(stop);
    await world.barrier();
    return result;
  } catch (error) {
    if (!stop.isAgreed) return world.abort(error);
    await world.barrier();
    throw error;
  }
}

/** Whether the ranks have stopped together, with nothing left to do. */
interface Stop {
  isAgreed: boolean;
}

async function fitFolder(
  options: FitOptions,
  stop: Stop = { isAgreed: false },
): Promise<FitResult> {
  const { signal, folder, ranks } = options;
  signal?.throwIfAborted();
  const isWriter = folder !== undefined && (ranks === undefined || ranks.world.rank === 0);
  const run = isWriter ? await openRunFolder(folder, options.recipe ?? null) : undefined;
  try {
    return await fitIn(run, options, stop);
  } finally {
    await run?.close();
  }
}

async function fitIn(
  run: RunFolder | undefined,
  options: FitOptions,
  stop: Stop,
): Promise<FitResult> {
  const { steps, folder, ranks } = options;
  const loaded = await run?.load();
  const saved = ranks ? await shareSaved(ranks.world, loaded) : loaded;
  const resumedFrom = saved?.step ?? 0;
  if (resumedFrom > steps)
    throw new DmaeError(
      "resume",
      `fit: ${folder} has done ${resumedFrom} steps, more than the ${steps} asked for`,
    );
  if (saved !== undefined && resumedFrom === steps)
    return { state: saved.state, step: steps, resumedFrom, metrics: {} };
  await run?.truncateLog(resumedFrom);
  const state = saved?.state ?? (await initialState(options.state));
  if (ranks) await requireEqual(ranks.world, factsOf(options, state));
  if (steps === 0) return { state: { ...state }, step: 0, resumedFrom, metrics: {} };
  await run?.requireRoom(state);
  const batches = prefetcher(options);
  const first = await batches.get(resumedFrom);
  const scaling = saved?.extra.scaling && JSON.parse(saved.extra.scaling);
  const prepared = await prepareRun(options, { state, batch: specsOf(first), scaling });
  try {
    return await loop(options, {
      run,
      prepared,
      stop,
      resumedFrom,
      first,
      batches,
      means: epochMeans(saved?.extra.epoch),
      best: bestOf(saved?.extra),
      savedAt: resumedFrom,
    });
  } finally {
    prepared.dispose();
  }
}

/** The step of a run, of this process alone or of all ranks. */
interface RunStep {
  run(batch: HostTensors, step: number, wantsStop: boolean): Promise<RankMetrics>;
  state(): Promise<Record<string, HostTensor>>;
  bring?: PreparedStep["bring"] | undefined;
  scaling?: PreparedStep["scaling"] | undefined;
  dispose(): void;
}

async function prepareRun(
  { executor, step, ranks }: FitOptions,
  init: StepInit & { readonly batch: TensorSpecs },
): Promise<RunStep> {
  if (ranks) return prepareRankStep(executor, init, ranks);
  const prepared = await executor.prepareStep(step, init);
  return {
    run: async (batch, _, stop) => ({ metrics: await prepared(batch), stop }),
    state: prepared.state,
    bring: prepared.bring,
    scaling: prepared.scaling,
    dispose: prepared.dispose,
  };
}

/** What must be the same on every rank. */
function factsOf(options: FitOptions, state: HostTensors): Record<string, unknown> {
  const { executor, recipe, steps, stepsPerEpoch, folder, checkpointEvery, keepEvery } = options;
  return {
    ...{ recipe, steps, stepsPerEpoch, folder: folder !== undefined },
    ...{ checkpointEvery: `${checkpointEvery}`, keepEvery: `${keepEvery}` },
    ...{ evaluateEvery: `${options.evaluate?.every}`, executor: executor.name },
    parameters: checksum(state),
    ...options.ranks?.facts,
  };
}

/** Shapes and element types of a batch. */
export function specsOf(batch: HostTensors): TensorSpecs {
  return Object.fromEntries(
    Object.entries(batch).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );
}

interface Running {
  /** Absent without a folder, and on ranks that leave writing to rank 0. */
  readonly run: RunFolder | undefined;
  readonly prepared: RunStep;
  readonly stop: Stop;
  readonly resumedFrom: number;
  readonly first: HostTensors;
  readonly batches: Prefetcher;
  readonly means: EpochMeans;
  best: number | undefined;
  /** Step of the last checkpoint. */
  savedAt: number;
}

/** Means of the metrics since the epoch began; a checkpoint carries them along. */
interface EpochMeans {
  add(metrics: Metrics): void;
  /** The means, and begins anew. */
  take(): Metrics;
  state(): { readonly counts: Metrics; readonly sums: Metrics };
}

function epochMeans(saved: string | undefined): EpochMeans {
  // each by its own count: on several ranks, only updates have the norm of gradients
  let { counts, sums } = JSON.parse(saved ?? '{"counts":{},"sums":{}}') as {
    counts: Record<string, number>;
    sums: Record<string, number>;
  };
  return {
    add(metrics) {
      for (const [name, value] of Object.entries(metrics)) {
        counts[name] = (counts[name] ?? 0) + 1;
        sums[name] = (sums[name] ?? 0) + value;
      }
    },
    take() {
      const means = Object.entries(sums).map(([name, sum]) => [name, sum / counts[name]!]);
      [counts, sums] = [{}, {}];
      return Object.fromEntries(means);
    },
    state: () => ({ counts, sums }),
  };
}

async function loop(options: FitOptions, context: Running): Promise<FitResult> {
  const { steps, signal, stepsPerEpoch = steps, logEvery = 1, evaluate } = options;
  const { checkpointEvery = stepsPerEpoch, keepEvery, ranks } = options;
  const { run, prepared, resumedFrom, batches, stop } = context;
  const meter = rateMeter();
  const means = context.means;
  let metrics: Metrics = {};
  let inputs: HostTensors | undefined = context.first;
  const checkpoint = async (done: number, name = "last") => {
    if (options.folder === undefined) return;
    await run?.flush();
    const state = await finiteState(options, context, done);
    const scaling = await prepared.scaling?.();
    await run?.save(name, done, state, {
      ...bestText(context.best),
      ...(scaling && { scaling: JSON.stringify(scaling) }),
      epoch: JSON.stringify(means.state()),
    });
    if (name === "last") context.savedAt = done;
  };
  let isStopping = false; // on every rank, or on none
  for (let step = resumedFrom; step < steps; step++) {
    if (isStopping || (signal?.aborted && ranks === undefined)) {
      if (context.savedAt < step) await checkpoint(step);
      stop.isAgreed = isStopping;
      throw signal?.reason ?? new DOMException("fit: another rank was stopped", "AbortError");
    }
    const batch = inputs ?? (await batches.get(step));
    const running = prepared.run(batch, step, signal?.aborted ?? false);
    batches.ahead(step, prepared.bring); // drawn while the step runs, where the executor does not hold this thread
    inputs = undefined;
    const made = await running.catch((error) => inStep(error, step, options, context));
    metrics = made.metrics;
    const done = step + 1;
    isStopping = made.stop && ranks !== undefined && done < steps;
    await requireFinite(metrics, step, options, context);
    meter.tick();
    if (run !== undefined && done % logEvery === 0)
      run.log({
        kind: "step",
        step: done,
        epoch: done / stepsPerEpoch,
        ...metrics,
        ...options.logExtra?.(step),
        seconds: meter.seconds(),
      });
    report(options, done, metrics, meter);
    means.add(metrics);
    if (done % stepsPerEpoch === 0) {
      run?.log({ kind: "epoch", step: done, ...means.take() });
      if (ranks)
        await requireEqualParams(ranks.world, await prepared.state(), ranks.split.buffers, done);
    }
    const isLast = done === steps;
    if (evaluate !== undefined && (isLast || done % evaluate.every === 0))
      await evaluated(options, evaluate, context, done);
    // first the one that is kept: a run killed between the two then makes it again
    if (keepEvery !== undefined && done % keepEvery === 0) await checkpoint(done, `step-${done}`);
    if (isLast || done % checkpointEvery === 0) await checkpoint(done);
  }
  const state =
    options.folder === undefined
      ? await finiteState(options, context, steps)
      : await prepared.state();
  return { state, step: steps, resumedFrom, metrics };
}

async function evaluated(
  options: FitOptions,
  evaluate: Evaluation,
  running: Running,
  done: number,
): Promise<void> {
  const { run } = running;
  const state = await finiteState(options, running, done);
  const measure = () => evaluate.run(state, done);
  const metrics = await (options.ranks ? onFirst(options.ranks.world, measure) : measure());
  run?.log({ kind: "evaluation", step: done, ...metrics });
  options.onEvaluation?.(metrics, done);
  if (evaluate.best === undefined) return;
  const { metric, mode } = evaluate.best;
  const value = metrics[metric];
  if (value === undefined)
    throw new DmaeError(
      "argument",
      `fit: best.metric must be one of ${Object.keys(metrics).join(", ")}, got ${metric}`,
    );
  const { best } = running;
  if (Number.isNaN(value)) return;
  if (best !== undefined && !(mode === "max" ? value > best : value < best)) return;
  running.best = value;
  await run?.save("best", done, state, { [metric]: String(value) });
}

/** What rank 0 measures, on every rank. */
async function onFirst(world: World, measure: () => Promise<Metrics>): Promise<Metrics> {
  const own = world.rank === 0 ? Object.entries(await measure()) : [];
  const named = own.map(([name, value]) => [name, String(value)]); // JSON knows no NaN
  const [text] = await gatherTexts(world, JSON.stringify(named));
  const told = JSON.parse(text!) as [string, string][];
  return Object.fromEntries(told.map(([name, value]) => [name, Number(value)]));
}

/** A value that is not finite, found by the executor: names the step and what is kept. */
async function inStep(
  error: unknown,
  step: number,
  options: FitOptions,
  { run, savedAt }: Running,
): Promise<never> {
  if (!DmaeError.isInstance(error, "numeric")) throw error;
  await run?.flush();
  const reason = error.message.replace(/^\w+: /, "");
  throw new DmaeError(
    "numeric",
    `fit: ${reason} in step ${step}${kept(options, savedAt)}`,
    { step, savedAt },
    { cause: error },
  );
}

async function requireFinite(
  metrics: Metrics,
  step: number,
  options: FitOptions,
  { run, savedAt }: Running,
): Promise<void> {
  const bad = Object.entries(metrics).find(([, value]) => !Number.isFinite(value));
  if (bad === undefined) return;
  await run?.flush();
  throw new DmaeError(
    "numeric",
    `fit: ${bad[0]} must be finite, got ${bad[1]} in step ${step}${kept(options, savedAt)}`,
    { step, metrics, savedAt },
  );
}

/** A loss can be finite while the update made of its gradients is not: such a state is neither saved nor returned. */
async function finiteState(
  options: FitOptions,
  { prepared, savedAt }: Running,
  done: number,
): Promise<Record<string, HostTensor>> {
  const state = await prepared.state();
  for (const [name, { data }] of Object.entries(state))
    for (let i = 0; i < data.length; i++)
      if (!Number.isFinite(data[i]))
        throw new DmaeError(
          "numeric",
          `fit: ${name} must be finite, got ${data[i]} after step ${done - 1}${kept(options, savedAt)}`,
          { step: done - 1, name, savedAt },
        );
  return state;
}

function kept({ folder }: FitOptions, savedAt: number): string {
  if (folder === undefined) return "";
  if (savedAt === 0) return `; ${folder} holds no checkpoint yet`;
  return `; ${folder}/last.safetensors holds the state after ${savedAt} steps`;
}

function report(
  { onProgress, steps, stepsPerEpoch = steps }: FitOptions,
  done: number,
  metrics: Metrics,
  meter: ReturnType<typeof rateMeter>,
): void {
  if (onProgress === undefined) return;
  const stepsPerSecond = meter.rate();
  onProgress({
    step: done,
    steps,
    epoch: done / stepsPerEpoch,
    epochs: steps / stepsPerEpoch,
    metrics,
    stepsPerSecond,
    seconds: meter.seconds(),
    secondsLeft: stepsPerSecond > 0 ? (steps - done) / stepsPerSecond : Number.POSITIVE_INFINITY,
  });
}

/** Batches by step, of which some are prepared ahead. */
interface Prefetcher {
  /** The batch of a step. */
  get(step: number): Promise<HostTensors>;
  /** Begins to prepare the batches after a step, and gives the next one to `bring`. */
  ahead(step: number, bring?: (batch: HostTensors) => void): void;
}

function prefetcher({ batch, steps, prefetch = 1 }: FitOptions): Prefetcher {
  const waiting = new Map<number, Promise<HostTensors>>();
  const ask = (step: number) => {
    if (step >= steps || waiting.has(step)) return;
    const promise = Promise.resolve().then(() => batch(step));
    promise.catch(() => {}); // told to whoever awaits that step
    waiting.set(step, promise);
  };
  return {
    async get(step) {
      ask(step);
      const promise = waiting.get(step)!;
      waiting.delete(step);
      return promise;
    },
    ahead(step, bring) {
      for (let next = step + 1; next <= step + prefetch && next < steps; next++) ask(next);
      if (bring) waiting.get(step + 1)?.then(bring, () => {});
    },
  };
}

async function initialState(state: FitOptions["state"]): Promise<HostTensors> {
  return typeof state === "function" ? state() : state;
}

const bestText = (best: number | undefined) => (best === undefined ? {} : { best: String(best) });

/** NaN, which older versions could save, is no best value. */
const bestOf = (extra: Readonly<Record<string, string>> | undefined) =>
  extra?.best === undefined || extra.best === "NaN" ? undefined : Number(extra.best);
