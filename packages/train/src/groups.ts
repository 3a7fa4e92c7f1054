import { DmaeError, type HostTensors } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import {
  type ParameterGroups,
  type ParameterOptions,
  requireDecay,
  requireRange,
} from "./optimizer.ts";

/** Options of {@link decayGroups}. */
export interface DecayGroupsOptions {
  /** Weight decay of what decays. */
  readonly weightDecay: number;
  /** Names that are not trained (fixed positions). */
  readonly frozen?: readonly string[] | undefined;
  /** Names without decay besides biases and one-dimensional parameters. */
  readonly noWeightDecay?: readonly string[] | undefined;
}

const groupNames = {
  weightDecay: true,
  frozen: true,
  noWeightDecay: true,
} satisfies OptionNames<DecayGroupsOptions>;

/**
 * Weight decay as timm's `add_weight_decay` hands it out, which DMAE pre-trains with: one-dimensional
 * parameters and biases have none; `cls_token` and `mask_token`, being three-dimensional, decay.
 */
export function decayGroups(params: HostTensors, options: DecayGroupsOptions): ParameterGroups {
  checkOptions("decayGroups", options, groupNames);
  const { weightDecay, frozen = [], noWeightDecay = [] } = options;
  requireRange("decayGroups: weightDecay", weightDecay, 0, Number.POSITIVE_INFINITY);
  requireNames("decayGroups", params, [...frozen, ...noWeightDecay]);
  const groups: Record<string, ParameterOptions> = {};
  for (const [name, { shape }] of Object.entries(params)) {
    if (frozen.includes(name)) continue;
    const exempt = shape.length === 1 || name.endsWith(".bias") || noWeightDecay.includes(name);
    groups[name] = { learningRateScale: 1, weightDecay: exempt ? 0 : weightDecay };
  }
  return groups;
}

/** Options of {@link layerDecayGroups}. */
export interface LayerDecayGroupsOptions extends DecayGroupsOptions {
  /** Factor on the learning rate from one layer to the one before it; 1 for none. */
  readonly layerDecay: number;
  /** Number of transformer blocks. */
  readonly depth: number;
  /** Layer of a parameter, 0 (embedding) to `depth + 1` (head); `@dmae/vit` exports one. */
  readonly layerId: (name: string, depth: number) => number;
}

/**
 * Layer-wise learning-rate decay (BEiT, arXiv:2106.08254) as DMAE fine-tunes with: a parameter of layer `i`
 * learns at `layerDecay ** (depth + 1 - i)`. One-dimensional parameters and the names in `noWeightDecay`
 * (`cls_token`, `pos_embed` in the official code) do not decay.
 */
export function layerDecayGroups(
  params: HostTensors,
  options: LayerDecayGroupsOptions,
): ParameterGroups {
  checkOptions("layerDecayGroups", options, {
    ...groupNames,
    layerDecay: true,
    depth: true,
    layerId: true,
  });
  const { weightDecay, layerDecay, depth, layerId, frozen = [], noWeightDecay = [] } = options;
  if (!(layerDecay > 0 && layerDecay <= 1))
    throw new DmaeError(
      "argument",
      `layerDecayGroups: layerDecay must lie in (0, 1], got ${layerDecay}`,
    );
  requireRange("layerDecayGroups: weightDecay", weightDecay, 0, Number.POSITIVE_INFINITY);
  requireNames("layerDecayGroups", params, [...frozen, ...noWeightDecay]);
  const groups: Record<string, ParameterOptions> = {};
  for (const [name, { shape }] of Object.entries(params)) {
    if (frozen.includes(name)) continue;
    const exempt = shape.length === 1 || noWeightDecay.includes(name);
    groups[name] = {
      learningRateScale: layerDecay ** (depth + 1 - layerId(name, depth)),
      weightDecay: exempt ? 0 : weightDecay,
    };
  }
  requireDecay("layerDecayGroups", weightDecay, groups); // a layerId that is no number
  return groups;
}

function requireNames(where: string, params: HostTensors, names: readonly string[]): void {
  const unknown = names.filter((name) => !(name in params));
  if (unknown.length > 0)
    throw new DmaeError(
      "argument",
      `${where}: frozen and noWeightDecay must name parameters, got ${unknown.join(", ")}`,
      { unknown },
    );
}
