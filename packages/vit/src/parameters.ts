import { constantSpec, ones, type ParameterSpecs, xavierUniform, zeros } from "@dmae/nn/layers";

/** A linear layer as the official code initialises it: Glorot-uniform, bias 0. */
export function linearParameters(name: string, outputs: number, inputs: number): ParameterSpecs {
  return {
    [`${name}.weight`]: { shape: [outputs, inputs], initialize: xavierUniform },
    [`${name}.bias`]: constantSpec([outputs], zeros),
  };
}

/** A LayerNorm: gain 1, bias 0. */
export function normParameters(name: string, width: number): ParameterSpecs {
  return {
    [`${name}.weight`]: constantSpec([width], ones),
    [`${name}.bias`]: constantSpec([width], zeros),
  };
}
