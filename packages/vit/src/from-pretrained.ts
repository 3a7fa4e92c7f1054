import { DmaeError, type HostTensor, type HostTensors, type Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { interpolatePositions } from "./positions.ts";
import { createViT, parameterShapes, type ViT } from "./vit.ts";

/** Tensors by name that are read when asked for; a checkpoint of `@dmae/checkpoint` is one. */
export interface TensorSource {
  /** Every name. */
  readonly names: readonly string[];
  /** Shape of a tensor. */
  spec(name: string): { readonly shape: readonly number[] };
  /** Values of a tensor. */
  read(name: string): Promise<HostTensor>;
}

/** Options of {@link fromPretrained}. */
export interface FromPretrainedOptions {
  /** Draws the parameters that are created; needed where there are any. */
  readonly key?: Key | undefined;
  /**
   * Names that may be missing, of another shape, or unknown to the model; `*` at the end stands for
   * any ending. Missing and reshaped ones are created, unknown ones ignored.
   */
  readonly allow?: readonly string[] | undefined;
  /** Names to create although the checkpoint has them, e.g. `["head.*"]`; `*` as in `allow`. */
  readonly fresh?: readonly string[] | undefined;
  /** Our name of a name in the checkpoint, e.g. `(name) => name.replace(/^module\./, "")`. */
  readonly rename?: ((name: string) => string) | undefined;
}

/** What became of every name, in the order of the model and of the checkpoint. */
export interface PretrainedReport {
  /** Taken from the checkpoint. */
  readonly loaded: readonly string[];
  /** Of the loaded ones, those interpolated to another grid. */
  readonly interpolated: readonly string[];
  /** Not taken from the checkpoint: drawn from `key` as `initHost` draws them. */
  readonly created: readonly string[];
  /** In the checkpoint, of no use to the model. */
  readonly ignored: readonly string[];
  /** In both with different shapes, and so created. */
  readonly mismatched: readonly ShapeMismatch[];
}

/** A parameter whose shape in the checkpoint is not the model's. */
export interface ShapeMismatch {
  /** Its name. */
  readonly name: string;
  /** Shape in the model. */
  readonly expected: readonly number[];
  /** Shape in the checkpoint. */
  readonly received: readonly number[];
}

/**
 * The parameters of `vit` from a checkpoint, the way the official `main_finetune.py` does it: mask
 * token and decoder are left out; with global pool the pre-trained `norm` is, too, and `fc_norm` starts
 * fresh unless the checkpoint has one; a missing head, or one for other classes, starts fresh;
 * positions are interpolated bicubically where the grid is another.
 *
 * Differs from the official code: any other missing, unknown or reshaped name is an error that lists
 * them all, unless `allow` names it. Positions are interpolated in float64.
 *
 * @param vit the model to fill
 * @param checkpoint an open checkpoint, or a record of tensors
 * @returns the parameters in host memory, in the order of `initHost`, and a report
 * @throws DmaeError "checkpoint" for names and shapes that do not fit; "argument" where something must
 *   be created and there is no `key`
 *
 * @example
 * ```ts
 * const vit = createViT("vit_base_patch16", { numClasses: 10, inputSize: 32 });
 * const checkpoint = await loadCheckpoint("dmae_base.pth");
 * const { params, report } = await fromPretrained(vit, checkpoint, { key: key(0) });
 * report.created; // ["head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"]
 * ```
 */
export async function fromPretrained(
  vit: ViT,
  checkpoint: TensorSource | HostTensors,
  options: FromPretrainedOptions = {},
): Promise<{ params: Record<string, HostTensor>; report: PretrainedReport }> {
  checkOptions("fromPretrained", options, { key: true, allow: true, fresh: true, rename: true });
  if (!(isObject(checkpoint) && (isSource(checkpoint) || isRecord(checkpoint))))
    throw new DmaeError(
      "argument",
      `fromPretrained: the checkpoint must be one of loadCheckpoint or a record of tensors, got ${described(checkpoint)}`,
    );
  const source = renamed(checkpoint, options.rename);
  const expected = new Map(Object.entries(parameterShapes(vit.config)));
  const plan = makePlan(vit, expected, source, options);
  const fresh = createMissing(vit, plan.created, options.key);
  const params: Record<string, HostTensor> = {};
  for (const name of expected.keys())
    params[name] = fresh[name] ?? (await take(vit, source.get(name)!, name, plan));
  return { params, report: plan };
}

/** What came in place of a checkpoint; of the result of `pretrain`, what was meant. */
function described(value: unknown): string {
  if (!isObject(value)) return String(value);
  if ("encoder" in value) return "the whole result of pretrain; pass its encoder";
  return `an object with ${Object.keys(value).slice(0, 4).join(", ") || "nothing in it"}`;
}

type Source = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly read: () => Promise<HostTensor> }
>;

function renamed(
  checkpoint: TensorSource | HostTensors,
  rename: (name: string) => string = (name) => name,
): Source {
  const { names, spec, read } = isSource(checkpoint) ? checkpoint : recordSource(checkpoint);
  const source = new Map(
    names.map((name) => [rename(name), { shape: spec(name).shape, read: () => read(name) }]),
  );
  if (source.size === names.length) return source;
  throw new DmaeError("argument", "fromPretrained: rename must give every tensor another name");
}

function isSource(value: TensorSource | HostTensors): value is TensorSource {
  return Array.isArray(value.names) && typeof value.read === "function";
}

const isObject = (value: unknown) => typeof value === "object" && value !== null;

/** Whether all values have a shape: those of a classifier have not, and a promise has no values. */
function isRecord(value: HostTensors): boolean {
  return !(value instanceof Promise) && Object.values(value).every((tensor) => tensor?.shape);
}

function recordSource(tensors: HostTensors): TensorSource {
  const names = Object.keys(tensors);
  return { names, spec: (name) => tensors[name]!, read: async (name) => tensors[name]! };
}

interface Plan extends PretrainedReport {
  readonly loaded: string[];
  readonly interpolated: string[];
  readonly created: string[];
  readonly ignored: string[];
  readonly mismatched: ShapeMismatch[];
}

/** Decides what becomes of every name, then fails with all that do not fit at once. */
function makePlan(
  vit: ViT,
  expected: ReadonlyMap<string, readonly number[]>,
  source: Source,
  { allow = [], fresh = [] }: FromPretrainedOptions,
): Plan {
  const plan: Plan = { loaded: [], interpolated: [], created: [], ignored: [], mismatched: [] };
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const received = source.get(name)?.shape;
    const allowed = matches(allow, name);
    if (matches(fresh, name)) plan.created.push(name);
    else if (!received) {
      if (!allowed && !isCreated(name)) problems.push(`${name} is missing`);
      plan.created.push(name);
    } else if (`${received}` === `${shape}`) plan.loaded.push(name);
    else if (canInterpolate(name, shape, received)) {
      plan.loaded.push(name);
      plan.interpolated.push(name);
    } else {
      if (!allowed && !isHead(name))
        problems.push(`${name} must be [${shape}], the checkpoint has [${received}]`);
      plan.mismatched.push({ name, expected: shape, received });
      plan.created.push(name);
    }
  }
  for (const name of source.keys())
    if (!expected.has(name)) {
      if (!matches(allow, name) && !isIgnored(vit, name)) problems.push(`${name} is unknown`);
      plan.ignored.push(name);
    }
  if (problems.length === 0) return plan;
  throw new DmaeError(
    "checkpoint",
    `fromPretrained: the checkpoint does not fit the model: ${problems.join("; ")}; allow names those that may differ`,
    { problems, ...plan },
  );
}

function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

const isHead = (name: string) => name === "head.weight" || name === "head.bias";

/** What pre-training has not got and fine-tuning starts afresh. */
const isCreated = (name: string) => isHead(name) || name.startsWith("fc_norm.");

/** What fine-tuning has no use for. */
function isIgnored({ config }: ViT, name: string): boolean {
  if (name === "mask_token" || name.startsWith("decoder_")) return true;
  if (isHead(name)) return config.numClasses === 0;
  return name.startsWith(config.globalPool ? "norm." : "fc_norm.");
}

/** Positions of another square grid, of the same width. */
function canInterpolate(
  name: string,
  expected: readonly number[],
  received: readonly number[],
): boolean {
  const [one, tokens = 0, width] = received;
  const isGrid = received.length === 3 && one === 1 && Number.isInteger(Math.sqrt(tokens - 1));
  return name === "pos_embed" && isGrid && tokens > 1 && width === expected[2];
}

/** Values follow from key and name, so a model just deep enough to have the name draws the same. */
function createMissing(
  { config }: ViT,
  created: readonly string[],
  key: Key | undefined,
): Record<string, HostTensor> {
  if (created.length === 0) return {};
  if (!key)
    throw new DmaeError(
      "argument",
      `fromPretrained: key must be given, for ${created.join(", ")} must be created`,
    );
  const blocks = created.map((name) => Number(/^blocks\.(\d+)\./.exec(name)?.[1] ?? 0));
  const initial = createViT({ ...config, depth: 1 + Math.max(...blocks) }).initHost(key);
  return Object.fromEntries(created.map((name) => [name, initial[name]!]));
}

async function take(
  { config }: ViT,
  { read }: { readonly read: () => Promise<HostTensor> },
  name: string,
  plan: Plan,
): Promise<HostTensor> {
  const tensor = await read();
  if (tensor.dtype !== "float32")
    throw new DmaeError(
      "checkpoint",
      `fromPretrained: ${name} must hold floating-point numbers, got ${tensor.dtype}`,
    );
  if (!plan.interpolated.includes(name)) return tensor;
  return interpolatePositions(tensor, config.imageSize / config.patchSize);
}
