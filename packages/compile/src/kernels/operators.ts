/** The elementwise operators that a kernel computes, as C of their operands. */
export const OPERATORS: Readonly<Record<string, (a: string, b: string) => string>> = {
  Add: (a, b) => `${a} + ${b}`,
  Sub: (a, b) => `${a} - ${b}`,
  Mul: (a, b) => `${a} * ${b}`,
  Div: (a, b) => `${a} / ${b}`,
  Max: (a, b) => `kernel_max(${a}, ${b})`,
  Min: (a, b) => `kernel_min(${a}, ${b})`,
  Neg: (a) => `-${a}`,
  Abs: (a) => `fabsf(${a})`,
  Exp: (a) => `kernel_exp(${a})`,
  Erf: (a) => `kernel_erf(${a})`,
  Sqrt: (a) => `sqrtf(${a})`,
  Relu: (a) => `kernel_max(${a}, 0.0f)`,
  Reciprocal: (a) => `1.0f / ${a}`,
  Step: (a) => `kernel_step(${a})`,
  Sigmoid: (a) => `kernel_sigmoid(${a})`,
};
