/**
 * Supplies what `@tensorflow/tfjs-node` 4.22 misses in Node 23 and later; import it before that package:
 *
 * ```ts
 * import "@dmae/native/register";
 * import * as tf from "@tensorflow/tfjs-node";
 * ```
 *
 * or, with no change to a program, `node --import @dmae/native/register program.js`.
 */
import { createRequire } from "node:module";
import { supplyUtil } from "./tensorflow/node-util.ts";

supplyUtil(createRequire(import.meta.url)("node:util"));
