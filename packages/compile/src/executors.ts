/** The choice of an executor for this machine. */

export { physicalCores } from "@dmae/core/native";
export { defaultExecutor } from "./default-executor.ts";
