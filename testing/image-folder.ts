import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";

const require = createRequire(new URL("../packages/datasets/package.json", import.meta.url));

/** Writes generated JPEGs of learnable classes, `perClass` of each, into `folder/class-0`, `folder/class-1`, … */
export async function writePhotos(
  folder: string,
  { classes = 2, perClass = 6, side = 48 } = {},
): Promise<string> {
  const sharp = require("sharp");
  const length = 8 * classes * perClass;
  const imageShape = [side, side, 3] as const;
  const data = synthetic({ length, key: key(7), imageShape, numClasses: classes });
  const written = Array<number>(classes).fill(0);
  for (let i = 0; i < length; i++) {
    const { data: pixels, label } = await data.pixels(i);
    if (written[label]! >= perClass) continue;
    mkdirSync(join(folder, `class-${label}`), { recursive: true });
    const raw = { width: side, height: side, channels: 3 };
    await sharp(pixels, { raw }).toFile(join(folder, `class-${label}`, `${written[label]!++}.jpg`));
  }
  return folder;
}
