import { DmaeError } from "@dmae/core";
import type { Image } from "../classifier/image.ts";
import { sha256 } from "../classifier/sha256.ts";

/** Shape, type and SHA-256 of an input's numbers; see `CertifiedInput`. */
export async function hashOfInput(
  caller: string,
  { data, shape }: Image,
): Promise<{ shape: readonly number[]; dtype: "float32" | "float64"; sha256: string }> {
  const dtype = data instanceof Float64Array ? "float64" : "float32";
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  const hash = await sha256(`${dtype}[${shape.join(",")}]\n`, bytes);
  if (hash !== "") return { shape, dtype, sha256: hash };
  throw new DmaeError(
    "unsupported",
    `${caller}: browsers hash in secure contexts only; open the page by https or on localhost`,
  );
}
