import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type {
  InFormOf,
  InputSpecs,
  InputValue,
  ResultForm,
  Program as TensorProgram,
} from "@dmae/nn";
import {
  describeValue,
  type FlatProgram,
  flatProgram,
  hostInputs,
  oneOf,
} from "@dmae/nn/executors";
import { type ActivationRange, checkWeightBits, type Quantization } from "./check-quantization.ts";
import { optimize, type Program } from "./graph/optimize.ts";
import { type Candidate, candidates, whyNoCandidates } from "./graph/quantize-graph.ts";
import { encodeModel } from "./onnx/onnx-model.ts";
import {
  checkRuntimeOptions,
  createSession,
  type RuntimeOptions,
  type RuntimeSession,
  type RuntimeTensor,
  runtimeNames,
} from "./runtime/runtime.ts";
import { trace } from "./tracing/trace.ts";

/** How the range of an activation is chosen from its calibration values. */
export type RangeRule = "minmax" | "percentile" | "mse";

/** Options of {@link quantize}. */
export interface QuantizeOptions<Specs extends InputSpecs> extends RuntimeOptions {
  /**
   * Inputs such as the program will meet, noise included: a few hundred images, in batches of the
   * specs' shapes.
   */
  readonly calibration:
    | Iterable<InFormOf<Specs, InputValue>>
    | AsyncIterable<InFormOf<Specs, InputValue>>;
  /**
   * `"mse"` (default): the range with the least squared error; `"percentile"`: without the outer 0.005 % on
   * either side; `"minmax"`: smallest and largest value, half the time.
   */
  readonly rule?: RangeRule | undefined;
  /** Bits of a weight; default 7, with which no CPU saturates and the integer part is exact everywhere. */
  readonly weightBits?: 7 | 8 | undefined;
  /** Which products to quantize, by the name of their weight; default all that pay. */
  readonly include?: ((weight: string) => boolean) | undefined;
}

/**
 * Finds the fixed scales with which a program runs in int8: weights 7-bit (or 8-bit) integers with one
 * scale per output channel, activations unsigned 8-bit with one scale and zero point for each matrix
 * product, found on calibration inputs. Nothing is scaled by the batch at run time, so a row's result
 * never depends on the rows beside it, which certification needs.
 *
 * @param program as for `compile`; matrix products with constant weights are quantized
 * @returns plain data: give it to `compile`, `compiledExecutor` or `exportOnnx` with `precision: "int8"`
 * @throws DmaeError "argument" for empty calibration or a function without a product to quantize (convolutions are none)
 * @example
 * ```ts
 * const fn = ({ image, ...params }) => ({ logits: vit.logits(params, image) });
 * const program = { fn, specs: { image: [64, 28, 28, 1] }, constants: params };
 * const quantization = await quantize(program, { calibration: noisyBatches });
 * const classify = await compile(program, { precision: "int8", quantization });
 * ```
 */
export async function quantize<Specs extends InputSpecs, Result extends ResultForm<Result>>(
  program: TensorProgram<Specs, Result>,
  options: QuantizeOptions<Specs>,
): Promise<Quantization> {
  checkOptions("quantize", options, {
    ...runtimeNames,
    calibration: true,
    rule: true,
    weightBits: true,
    include: true,
  });
  const { rule = "mse", weightBits = 7, include = () => true } = options;
  checkRuntimeOptions("quantize", options);
  checkWeightBits("quantize", weightBits);
  checkRule(rule);
  checkCalibration(options.calibration);
  const flat = flatProgram("quantize", program);
  const probe = await Probe.load(flat, include, options);
  try {
    const batches: HostTensors[] = [];
    for await (const batch of options.calibration)
      batches.push(hostInputs("quantize", batch, flat.specs));
    if (batches.length === 0)
      throw new DmaeError(
        "argument",
        "quantize: calibration must hold at least one batch, got none",
      );
    return { weightBits, ranges: await findRanges(probe, batches, rule) };
  } finally {
    probe.dispose();
  }
}

const RULES: readonly RangeRule[] = ["minmax", "percentile", "mse"];

function checkRule(rule: RangeRule): void {
  if (!RULES.includes(rule))
    throw new DmaeError(
      "argument",
      `quantize: rule must be ${oneOf(RULES)}, got ${describeValue(rule)}`,
    );
}

function checkCalibration(calibration: unknown): void {
  const given = (calibration ?? {}) as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
  if (!given[Symbol.iterator] && !given[Symbol.asyncIterator])
    throw new DmaeError(
      "argument",
      `quantize: calibration must be an array (or iterable) of inputs, got ${describeValue(calibration)}`,
    );
}

/** The float32 program with the inputs of its products as outputs. */
class Probe {
  private constructor(
    readonly names: readonly string[],
    private readonly tensor: (value: HostTensor) => RuntimeTensor,
    private readonly session: RuntimeSession,
  ) {}

  static async load(
    { fn, specs, constants }: FlatProgram,
    include: (weight: string) => boolean,
    options: RuntimeOptions,
  ): Promise<Probe> {
    const traced = trace("quantize", fn, specs, constants);
    const program = optimize(traced, { transposeAll: true });
    const found = chosen(program, include);
    const outputs = found.map(({ node }) => node.inputs[0]!);
    const outputNames = found.map((_, i) => `activation ${i}`);
    const { bytes } = encodeModel({ graph: program.graph, outputs, outputNames });
    const { runtime, session } = await createSession("quantize", bytes, options);
    const tensor = ({ dtype, shape, data }: HostTensor) => new runtime.Tensor(dtype, data, shape);
    return new Probe(
      found.map(({ name }) => name),
      tensor,
      session,
    );
  }

  /** Calls `see` with the values of every activation. */
  async run(batch: HostTensors, see: (index: number, values: Float32Array) => void): Promise<void> {
    const feeds = Object.fromEntries(
      Object.entries(batch).map(([name, value]) => [name, this.tensor(value)]),
    );
    const results = await this.session.run(feeds);
    for (let i = 0; i < this.names.length; i++) {
      const tensor = results[`activation ${i}`]!;
      see(i, (tensor.getData ? await tensor.getData() : tensor.data) as Float32Array);
      tensor.dispose?.();
    }
  }

  dispose(): void {
    void this.session.release();
  }
}

/** The products to quantize, at least one. */
function chosen(program: Program, include: (weight: string) => boolean): Candidate[] {
  const all = candidates(program);
  const found = all.filter(({ name }) => include(name));
  if (found.length > 0) return found;
  const names = all.map(({ name }) => name);
  throw new DmaeError(
    "argument",
    all.length > 0
      ? `quantize: include chose none of ${names.join(", ")}`
      : `quantize: the function has no matrix product with constant weights that is worth quantizing: ${whyNoCandidates(program)}`,
  );
}

const BINS = 4096;

async function findRanges(
  probe: Probe,
  batches: readonly HostTensors[],
  rule: RangeRule,
): Promise<Record<string, ActivationRange>> {
  const whole = probe.names.map(() => ({ min: 0, max: 0 }));
  for (const batch of batches)
    await probe.run(batch, (i, values) => {
      const range = whole[i]!;
      for (const value of values) {
        if (value < range.min) range.min = value;
        else if (value > range.max) range.max = value;
      }
    });
  if (rule === "minmax") return named(probe.names, whole);
  const counts = probe.names.map(() => new Float64Array(BINS));
  for (const batch of batches)
    await probe.run(batch, (i, values) => {
      const { min, max } = whole[i]!;
      const factor = BINS / (max - min || 1);
      const bins = counts[i]!;
      for (const value of values) bins[Math.min(BINS - 1, Math.floor((value - min) * factor))]!++;
    });
  const choose = rule === "percentile" ? percentileRange : leastSquaresRange;
  return named(
    probe.names,
    whole.map((range, i) => choose(range, counts[i]!)),
  );
}

const named = (names: readonly string[], ranges: readonly ActivationRange[]) =>
  Object.fromEntries(names.map((name, i) => [name, { ...ranges[i]! }]));

/** The range without the outer 0.005 % of the values on either side. */
export function percentileRange(
  { min, max }: ActivationRange,
  counts: Float64Array,
  share = 5e-5,
): ActivationRange {
  const total = counts.reduce((n, c) => n + c, 0);
  const width = (max - min) / counts.length;
  let low = 0;
  for (let sum = counts[0]!; sum <= share * total; sum += counts[++low]!);
  let high = counts.length - 1;
  for (let sum = counts[high]!; sum <= share * total; sum += counts[--high]!);
  return { min: min + low * width, max: min + (high + 1) * width };
}

/** The range, cut at either side, whose 255 steps represent the histogram with the least squared error. */
export function leastSquaresRange(
  { min, max }: ActivationRange,
  counts: Float64Array,
): ActivationRange {
  const error = (low: number, high: number) => {
    const step = (high - low) / 255;
    const width = (max - min) / counts.length;
    let sum = 0;
    for (let i = 0; i < counts.length; i++) {
      const value = min + (i + 0.5) * width;
      const beyond = Math.max(low - value, value - high, 0);
      sum += counts[i]! * (beyond > 0 ? beyond * beyond : (step * step) / 12);
    }
    return sum;
  };
  let best = { min, max };
  let least = error(min, max);
  for (let i = 20; i <= 100; i += 2)
    for (const j of [20, 40, 50, 60, 70, 80, 85, 90, 95, 100]) {
      const candidate = { min: (min * j) / 100, max: (max * i) / 100 };
      const value = error(candidate.min, candidate.max);
      if (value < least) [best, least] = [candidate, value];
    }
  return best;
}
