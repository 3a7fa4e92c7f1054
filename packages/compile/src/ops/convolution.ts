import type { Kernels } from "./register.ts";
export const convolution: Kernels = {};
