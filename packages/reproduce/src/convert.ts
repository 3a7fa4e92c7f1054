import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { writeCifar10, writeTarShards } from "@dmae/datasets/writers";
import { commandLine, wholeNumber } from "./command-line.ts";
import { openData } from "./data.ts";

/**
 * Rewrites a data folder: `--from DIR --to DIR --as shards|binary [--side 32]`. Shards hold the image files byte for
 * byte; binary is CIFAR-10's format, for ten classes of 32x32 images.
 *
 * @throws DmaeError "argument" for other options or values
 */
export async function convert(args: readonly string[]): Promise<string> {
  const { from, to, ...values } = commandLine(flags, args);
  if (from === undefined || to === undefined)
    throw new DmaeError("argument", "convert: --from DIR and --to DIR are needed");
  if (values.as !== "shards" && values.as !== "binary")
    throw new DmaeError("argument", `convert: --as must be shards or binary, got ${values.as}`);
  const data = await openData(from, "cifar10", wholeNumber("side", values.side));
  if (values.as === "binary") await writeCifar10(to, data);
  else {
    await writeTarShards(join(to, "train"), data.train);
    await writeTarShards(join(to, "val"), data.test);
  }
  return `${to}: ${data.train.length} training and ${data.test.length} validation images as ${values.as}`;
}

const flags = {
  from: { type: "string" },
  to: { type: "string" },
  as: { type: "string", default: "shards" },
  side: { type: "string", default: "32" },
} as const;
