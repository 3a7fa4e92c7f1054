import { seedOfLog } from "../log/seed-of-log.ts";
import { parseShard, type Shard, shardFromEnvironment } from "../log/shard.ts";
import { freshSeed, parseSeed, type Seed } from "../noise/fresh-seed.ts";
import type { Arguments } from "./cli-arguments.ts";
import type { Streams } from "./cli-rows.ts";

/** What a certificate is about. */
export function certificationOf(args: Arguments) {
  const distribution = args.get("noise");
  return {
    sigma: args.needed("sigma"),
    ...args.pick("n", "n0", "alpha", "bound", "norm", "range", "sound"),
    ...(distribution && { distribution }),
  };
}

/** How noisy copies are computed. */
export function samplingOf(args: Arguments, { signal }: Streams) {
  return { ...args.pick("randomized"), ...batchesOf(args), ...(signal && { signal }) };
}

/** How large batches are. */
export function batchesOf(args: Arguments) {
  const limit = args.get("memory-limit");
  return { ...args.pick("batch-size"), ...(limit && { memoryLimit: limit * 2 ** 20 }) };
}

/** Which images are taken. */
export function selectionOf(args: Arguments) {
  const shard = args.get("shard");
  return { ...args.pick("skip", "max", "indices"), ...(shard && { shard: shardOf(shard) }) };
}

const shardOf = (text: string): Shard | undefined =>
  text === "auto" ? shardFromEnvironment() : parseShard(text);

/** The seed that was given (digits are a number, anything else a text), that of the log, or a fresh one. */
export async function seedOf(args: Arguments): Promise<Seed> {
  const text = args.get("seed");
  if (text !== undefined) return parseSeed(text) ?? text;
  const log = args.get("log");
  return (log === undefined ? undefined : await seedOfLog(log)) ?? freshSeed();
}
