import { DmaeError } from "@dmae/core";

/**
 * The depth of a parameter, for layer-wise learning-rate decay: 0 for the tokens, positions and the
 * patch projection, i + 1 for block i, `depth` + 1 for everything after the blocks.
 *
 * @param name a parameter's name
 * @param depth number of blocks
 * @throws DmaeError "argument" for a block beyond `depth`
 */
export function layerId(name: string, depth: number): number {
  if (name === "cls_token" || name === "pos_embed" || name.startsWith("patch_embed.")) return 0;
  const match = /^blocks\.(\d+)\./.exec(name);
  if (!match) return depth + 1;
  const index = Number(match[1]);
  if (index >= depth)
    throw new DmaeError("argument", `layerId: ${name} lies beyond the ${depth} blocks`);
  return index + 1;
}
