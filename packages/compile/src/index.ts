export type { ActivationRange, Quantization } from "./check-quantization.ts";
export { type CompileOptions, compile } from "./compile.ts";
export { compileStep } from "./compile-step.ts";
export {
  type CompiledExecutorOptions,
  type CompiledFunction,
  compiledExecutor,
} from "./compiled-executor.ts";
export { type ExportOptions, exportOnnx } from "./export-onnx.ts";
export type { CompiledStep } from "./prepared-step.ts";
export { type QuantizeOptions, quantize, type RangeRule } from "./quantize.ts";
export type { PrecisionOptions, ProgramStatistics } from "./runtime/program.ts";
export type { ExecutionProvider, Runtime, RuntimeOptions } from "./runtime/runtime.ts";
