import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { Checkpoint } from "./checkpoint.ts";
import {
  isPlainRecord,
  isTensorReference,
  type PlainRecord,
  type PlainValue,
} from "./plain-value.ts";

/** The state of a PyTorch optimizer by parameter name. */
export interface OptimizerState {
  /** `<slot>.<name>`, e.g. `exp_avg.cls_token`: what `adamw` of `@dmae/train` keeps as its state. */
  readonly tensors: HostTensors;
  /** Steps that each parameter has taken. */
  readonly steps: Readonly<Record<string, number>>;
  /** Steps that the optimizer has taken: the most that any parameter has. */
  readonly step: number;
  /** Settings of each group (`lr`, `betas`, `eps`, `weight_decay`, …) without its parameters. */
  readonly groups: readonly PlainRecord[];
}

/**
 * The optimizer of a training checkpoint, from which training can go on. PyTorch numbers parameters
 * through all groups and keeps no names, so the groups must be given as the training script formed
 * them; shapes are compared with the model's, which catches most wrong orders.
 *
 * @param checkpoint a `{ model, optimizer, … }` checkpoint
 * @param groups names of each group's parameters in the order of the script; `weightDecayGroups` gives
 *   those of MAE and DMAE pre-training
 * @throws DmaeError "checkpoint" where the file has no optimizer, or its groups or shapes are others
 *
 * @example
 * ```ts
 * const groups = weightDecayGroups(checkpoint, { frozen: ["pos_embed", "decoder_pos_embed"] });
 * const { tensors, step } = await optimizerState(checkpoint, groups);
 * tensors["exp_avg.cls_token"]; // { dtype: "float32", shape: [1, 1, 768], data: … }
 * ```
 */
export async function optimizerState(
  checkpoint: Checkpoint,
  groups: readonly (readonly string[])[],
): Promise<OptimizerState> {
  const { state, paramGroups } = optimizerParts(checkpoint);
  const names = nameByIndex(paramGroups, groups);
  const tensors: Record<string, HostTensor> = {};
  const steps: Record<string, number> = {};
  for (const [index, entry] of Object.entries(state)) {
    const name = names.get(index);
    if (name === undefined || !isPlainRecord(entry))
      throw fail(`the optimizer has a state ${index}, which no group names`);
    for (const [slot, value] of Object.entries(entry))
      if (slot === "step") steps[name] = await scalar(checkpoint, value);
      else if (isTensorReference(value))
        tensors[`${slot}.${name}`] = await readSlot(checkpoint, slot, name, value);
  }
  const settings = paramGroups.map(({ params: _, ...rest }) => rest);
  return { tensors, steps, step: Math.max(0, ...Object.values(steps)), groups: settings };
}

/** Options of {@link weightDecayGroups}. */
export interface WeightDecayGroupsOptions {
  /** Parameters that are not trained, and so in no group. */
  readonly frozen?: readonly string[] | undefined;
}

/**
 * The two groups that MAE and DMAE pre-train with (timm's `add_weight_decay`): first what has one
 * dimension or is a bias, without weight decay; then everything else. Each keeps the order of the file.
 *
 * @param model a checkpoint, or anything with names and shapes
 * @throws DmaeError "checkpoint" where a frozen name is not there
 */
export function weightDecayGroups(
  model: Pick<Checkpoint, "names" | "spec">,
  options: WeightDecayGroupsOptions = {},
): [noDecay: string[], decay: string[]] {
  checkOptions("weightDecayGroups", options, { frozen: true });
  const { frozen = [] } = options;
  for (const name of frozen) model.spec(name);
  const trained = model.names.filter((name) => !frozen.includes(name));
  const exempt = (name: string) => model.spec(name).shape.length === 1 || name.endsWith(".bias");
  return [trained.filter(exempt), trained.filter((name) => !exempt(name))];
}

function optimizerParts({ contents }: Checkpoint) {
  const { optimizer } = contents;
  const state = isPlainRecord(optimizer) ? optimizer.state : undefined;
  const paramGroups = isPlainRecord(optimizer) ? optimizer.param_groups : undefined;
  if (!isPlainRecord(state) || !Array.isArray(paramGroups) || !paramGroups.every(isPlainRecord))
    throw fail("the file has no optimizer with state and param_groups");
  return { state, paramGroups: paramGroups as readonly PlainRecord[] };
}

/** PyTorch's number of a parameter -> its name. */
function nameByIndex(
  paramGroups: readonly PlainRecord[],
  groups: readonly (readonly string[])[],
): Map<string, string> {
  const indices = paramGroups.map(({ params }) => (Array.isArray(params) ? params : []));
  const saved = indices.map((group) => group.length);
  const given = groups.map((group) => group.length);
  if (`${saved}` !== `${given}`)
    throw fail(`the optimizer has groups of ${saved} parameters, the names given are ${given}`);
  const names = groups.flat();
  if (new Set(names).size !== names.length) throw fail("a parameter is in two groups");
  return new Map(indices.flat().map((index, i) => [String(index), names[i]!]));
}

async function readSlot(
  checkpoint: Checkpoint,
  slot: string,
  name: string,
  reference: PlainValue,
): Promise<HostTensor> {
  if (!isTensorReference(reference)) throw fail(`${slot} of ${name} is no tensor`);
  const expected = checkpoint.spec(name).shape;
  if (`${reference.shape}` !== `${expected}`)
    throw fail(
      `${slot} of ${name} has shape [${reference.shape}], the parameter [${expected}]; give the groups in the order of the training script`,
    );
  return checkpoint.read(reference);
}

/** A step count: a number, or since PyTorch 1.12 a tensor without dimensions. */
async function scalar(checkpoint: Checkpoint, value: PlainValue): Promise<number> {
  if (typeof value === "number") return value;
  if (isTensorReference(value) && value.shape.length === 0)
    return (await checkpoint.read(value)).data[0]!;
  throw fail("a step count is no number");
}

function fail(reason: string): DmaeError {
  return new DmaeError("checkpoint", `optimizerState: ${reason}`);
}
