/** More distributions, and the counter-based generator beneath the draws. */
export { generator, permutation } from "./generator.ts";
export { split } from "./key.ts";
export { type LaplaceOptions, laplace } from "./laplace.ts";
export { philox4x32 } from "./philox.ts";
