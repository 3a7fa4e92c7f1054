import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * Named tensors, flat. Keys of model parameters are the official PyTorch state-dict names
 * (`blocks.0.attn.qkv.weight`), layouts too (`[out, in]` for linear layers).
 */
export type Tensors = Record<string, Tensor>;

/** The parameters of a model; whoever called `init` disposes of them. */
export type Params = Tensors;
