import type { Kernels } from "./register.ts";
export const resize: Kernels = {};
