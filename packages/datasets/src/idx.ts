import { constants, gunzipSync } from "node:zlib";
import type { ImageShape } from "@dmae/core";
import { fileError, reason } from "./files.ts";

/** An IDX file of unsigned bytes: its dimensions and values. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Decodes an IDX file of unsigned bytes (LeCun's format: two zero bytes, type 8, rank, big-endian
 * dimensions, values), gzip or plain. The sizes in the header are checked against the bytes that are
 * there before anything of that size is allocated.
 */
export function decodeIdx(
  caller: string,
  file: string,
  bytes: Uint8Array,
  maxBytes: number,
): IdxArray {
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const head = zipped ? gunzipHead(caller, file, bytes) : bytes;
  const shape = readHeader(caller, file, head);
  const start = 4 + 4 * shape.length;
  const size = start + product(shape);
  if (size > maxBytes)
    throw fileError(
      caller,
      file,
      4,
      `at most ${maxBytes} bytes (maxBytes)`,
      `dimensions ${shape.join("x")}`,
    );
  const whole = zipped ? gunzip(caller, file, bytes, size) : bytes;
  if (whole.length !== size)
    throw fileError(
      caller,
      file,
      Math.min(whole.length, size),
      `${size} bytes in all for dimensions ${shape.join("x")}`,
      `${whole.length}${zipped ? " after decompression" : ""}`,
    );
  return { shape, data: new Uint8Array(whole.buffer, whole.byteOffset + start, size - start) };
}

/** The images of an IDX file: `[N, H, W]` (grey) or `[N, H, W, C]`. */
export function idxImages(caller: string, file: string, { shape, data }: IdxArray) {
  const [count, height, width, channels = 1] = shape as [number, number, number, number?];
  if (shape.length !== 3 && shape.length !== 4)
    throw fileError(caller, file, 3, "rank 3 or 4 (images)", `rank ${shape.length}`);
  if (!count || !height || !width || !channels)
    throw fileError(caller, file, 4, "at least one image", `dimensions ${shape.join("x")}`);
  const imageShape: ImageShape = [height, width, channels];
  return { count, imageShape, data };
}

/** The labels of an IDX file, all below `numClasses`, `count` of them. */
export function idxLabels(
  caller: string,
  file: string,
  { shape, data }: IdxArray,
  count: number,
  numClasses: number,
): Uint8Array {
  if (shape.length !== 1)
    throw fileError(caller, file, 3, "rank 1 (labels)", `rank ${shape.length}`);
  if (data.length !== count)
    throw fileError(caller, file, 4, `${count} labels, one for each image`, `${data.length}`);
  const wrong = data.findIndex((label) => label >= numClasses);
  if (wrong >= 0)
    throw fileError(
      caller,
      file,
      8 + wrong,
      `a label below ${numClasses} (numClasses)`,
      `${data[wrong]} for image ${wrong}`,
    );
  return data;
}

function readHeader(caller: string, file: string, head: Uint8Array): number[] {
  if (head.length < 4)
    throw fileError(caller, file, head.length, "an IDX header", "the end of the file");
  const [zero0, zero1, type, rank] = head as unknown as [number, number, number, number];
  if (zero0 !== 0 || zero1 !== 0 || type !== 8 || rank < 1 || rank > 4)
    throw fileError(
      caller,
      file,
      0,
      "the magic number of unsigned bytes, 00 00 08 and a rank of 1 to 4",
      Buffer.from(head.subarray(0, 4))
        .toString("hex")
        .replace(/..(?=.)/g, "$& "),
    );
  if (head.length < 4 + 4 * rank)
    throw fileError(caller, file, head.length, `${rank} dimensions`, "the end of the file");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The first bytes of a gzip stream, decompressed as far as a few of them go. */
function gunzipHead(caller: string, file: string, bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes.subarray(0, 1024), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (cause) {
    throw fileError(caller, file, 0, "a gzip stream", reason(cause), cause);
  }
}

function gunzip(caller: string, file: string, bytes: Uint8Array, size: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: size + 1 });
  } catch (cause) {
    const long = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    const expected = long ? `${size} bytes after decompression` : "a whole gzip stream";
    throw fileError(
      caller,
      file,
      long ? size : bytes.length,
      expected,
      long ? "more" : reason(cause),
      cause,
    );
  }
}
