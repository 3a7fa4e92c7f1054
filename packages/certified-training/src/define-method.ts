import * as tf from "@tensorflow/tfjs-core";
import { checkBatch } from "./check-batch.ts";
import type { TrainingMethod } from "./method.ts";

/** Fills in what most methods share, checks what `loss` is given, and frees what it leaves behind. */
export function defineMethod(
  method: Pick<TrainingMethod, "settings" | "loss"> & Partial<TrainingMethod>,
): TrainingMethod {
  const { loss, settings, ...rest } = method;
  const made = {
    copies: 1,
    passes: 1,
    draws: [],
    needsSoftLabels: false,
    mixable: false,
    schedule: () => ({}),
    ...rest,
    settings: Object.freeze(settings),
  };
  return {
    ...made,
    loss(apply, params, batch, draws) {
      checkBatch(made, batch, draws);
      return tf.tidy(() => loss(apply, params, batch, draws));
    },
  };
}
