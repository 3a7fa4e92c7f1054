import { DmaeError } from "@dmae/core";
import { show } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";
import type { MethodBatch, MethodDraws, TrainingMethod } from "./method.ts";

/**
 * Throws for a part of the batch or of the draws that a method needs and does not get, or of another shape.
 *
 * @throws DmaeError "shape" that names the part
 */
export function checkBatch(
  method: Omit<TrainingMethod, "loss">,
  { images, targets, softLabels }: MethodBatch,
  { noise, sigma, uniform, counts }: MethodDraws,
): void {
  const { settings, copies, mixable } = method;
  const refuse = (name: string, rule: string, value: unknown): never => {
    const got = value instanceof tf.Tensor ? shown(value.shape) : show(value);
    throw new DmaeError("shape", `${settings.name}: ${name} must be ${rule}, got ${got}`);
  };
  const require = (name: string, value: unknown, shape: readonly number[], what = "") => {
    if (!isOf(value, shape)) refuse(name, `a tensor ${shown(shape)}${what}`, value);
  };
  if (!(images instanceof tf.Tensor) || images.rank !== 4)
    refuse("batch.images", "a tensor [B, H, W, C]", images);
  const [size, ...image] = images.shape as [number, ...number[]];
  const rows = mixable ? [size, copies * size] : [size];
  if (!(targets instanceof tf.Tensor) || targets.rank !== 2 || !rows.includes(targets.shape[0]!))
    refuse("batch.targets", `a tensor [${[...new Set(rows)].join(" or ")}, classes]`, targets);
  require("draws.noise", noise, [copies * size, ...image], `, ${copies} for each image`);
  if (!(typeof sigma === "number" && sigma >= 0 && Number.isFinite(sigma)) && !isOf(sigma, [size]))
    refuse("draws.sigma", `0 or more and finite, or a tensor [${size}]`, sigma);
  if (method.needsSoftLabels)
    require("batch.softLabels", softLabels, targets.shape, ", a row for each image");
  if (counts !== undefined) require("draws.counts", counts, [size]);
  else if (method.draws.includes("uniform"))
    require("draws.uniform", uniform, [size], " in [0, 1)");
}

const isOf = (value: unknown, shape: readonly number[]) =>
  value instanceof tf.Tensor && `${value.shape}` === `${shape}`;

const shown = (shape: readonly number[]) => `[${shape.join(", ")}]`;
