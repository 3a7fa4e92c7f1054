import type { HostTensors } from "@dmae/core";
import type { ParameterGroups } from "./optimizer.ts";

/**
 * The parameter groups as the official scripts form them, which PyTorch numbers parameters by: with one learning-rate
 * scale, what does not decay and then what does (timm's `add_weight_decay`); with several, one for each scale and
 * decay in order of appearance (`param_groups_lrd`).
 *
 * @param params parameters in the order of the official state dict
 * @param groups those of `decayGroups` or `layerDecayGroups`
 * @returns names by group, for `optimizerState` of `@dmae/checkpoint/resume`
 *
 * @example
 * const { tensors, step } = await optimizerState(checkpoint, torchGroups(params, decayGroups(params, { weightDecay: 0.05 })));
 */
export function torchGroups(params: HostTensors, groups: ParameterGroups): string[][] {
  const scales = new Set(Object.values(groups).map((options) => options.learningRateScale));
  const byGroup = new Map<string, string[]>();
  if (scales.size <= 1) for (const decays of [false, true]) byGroup.set(keyOf(1, decays), []);
  for (const name of Object.keys(params)) {
    const options = groups[name];
    if (options === undefined) continue;
    const key = keyOf(scales.size <= 1 ? 1 : options.learningRateScale, options.weightDecay > 0);
    const names = byGroup.get(key);
    if (names === undefined) byGroup.set(key, [name]);
    else names.push(name);
  }
  return [...byGroup.values()];
}

const keyOf = (scale: number, decays: boolean) => `${scale} ${decays}`;
