export { type CompiledFunction, compile, type HostResult, type InFormOf } from "./compile.ts";
export { type CompiledStep, compileStep } from "./compile-step.ts";
export { type CompiledExecutorOptions, compiledExecutor } from "./compiled-executor.ts";
export { type ExportOptions, exportOnnx } from "./export-onnx.ts";
export type { ProgramStatistics } from "./program.ts";
export type {
  ExecutionProvider,
  Runtime,
  RuntimeOptions,
  RuntimeSession,
  RuntimeTensor,
} from "./runtime.ts";
export type { NestedHostTensors, NestedRecord, NestedSpecs, NestedTensors } from "./specs.ts";
