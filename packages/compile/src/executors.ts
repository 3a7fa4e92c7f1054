/** The choice of an executor for this machine. */
export { defaultExecutor } from "./default-executor.ts";
export { physicalCores } from "./runtime/runtime.ts";
