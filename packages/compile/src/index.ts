export { type CompiledExecutorOptions, compiledExecutor } from "./compiled-executor.ts";
export type { ProgramStatistics } from "./program.ts";
export type {
  ExecutionProvider,
  Runtime,
  RuntimeOptions,
  RuntimeSession,
  RuntimeTensor,
} from "./runtime.ts";
