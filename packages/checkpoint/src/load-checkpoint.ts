import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type ByteSource, blobSource, bytesSource, fileSource } from "./byte-source.ts";
import { type Checkpoint, makeCheckpoint } from "./checkpoint.ts";
import { recogniseFormat } from "./file-format.ts";
import { type Fetch, httpSource } from "./http-source.ts";
import { openPytorch } from "./open-pytorch.ts";
import { openSafetensors } from "./open-safetensors.ts";
import { defaultFetch } from "./proxy-fetch.ts";
import { defaultMaxHeader } from "./safetensors.ts";

/** Options of {@link loadCheckpoint}. */
export interface LoadCheckpointOptions {
  /**
   * Key, or keys from the outside in, under which the model's tensors lie. Default: a bare state dict,
   * the first of "model", "state_dict", "model_state_dict", or the `params.` of a training state that
   * `@dmae/train` saved ("ema" selects its moving average, `trainingState` gives all its parts); `null`
   * takes every tensor of the file, with dotted names.
   */
  readonly select?: string | readonly string[] | null | undefined;
  /** Python classes, `module.name`, to keep as plain data where the file would be refused for them. */
  readonly allowGlobals?: readonly string[] | undefined;
  /** Largest header or pickle that is read, default 16 MiB. */
  readonly maxHeaderBytes?: number | undefined;
  /** Largest file that is read whole from a server without range requests, default 256 MiB. */
  readonly maxWholeBytes?: number | undefined;
  /** For addresses; default as in `download`. */
  readonly fetch?: Fetch | undefined;
}

/**
 * Opens a checkpoint: PyTorch `.pth` (both formats of `torch.save`, before and since 1.6) or
 * `.safetensors`, told apart by their bytes. Only the header is read; tensors follow on demand, by range. Nothing in the file is executed:
 * a pickle is read as data, and one that names anything else than what tensors need is refused.
 *
 * @param source path or `file:` URL (Node), `http(s):` URL, `Blob`/`File`, or the bytes
 * @returns the checkpoint; no file stays open between reads, so closing it is optional
 * @throws DmaeError "file" for a damaged or foreign file, or one whose tensors take more than 4 times its
 *   size; "unsupported" for TorchScript, or a pickle that names other classes or functions; "checkpoint" where no state dict is
 *   found
 *
 * @example
 * ```ts
 * const checkpoint = await loadCheckpoint("checkpoint-799.pth");
 * checkpoint.names; // ["cls_token", "pos_embed", …]
 * checkpoint.spec("pos_embed"); // { dtype: "float32", shape: [1, 197, 768] }
 * const weights = await checkpoint.readAll();
 * await checkpoint.close();
 * ```
 */
export async function loadCheckpoint(
  source: string | URL | Blob | Uint8Array | ArrayBuffer,
  options: LoadCheckpointOptions = {},
): Promise<Checkpoint> {
  const caller = "loadCheckpoint";
  checkOptions(caller, options, {
    select: true,
    allowGlobals: true,
    maxHeaderBytes: true,
    maxWholeBytes: true,
    fetch: true,
  });
  const bytes = await openSource(caller, source, options);
  try {
    return await openFile(caller, bytes, options);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

async function openFile(
  caller: string,
  source: ByteSource,
  { select, allowGlobals = [], maxHeaderBytes = defaultMaxHeader }: LoadCheckpointOptions,
): Promise<Checkpoint> {
  const start = await source.read(0, Math.min(512, source.size));
  const format = recogniseFormat(caller, source.label, start);
  const file =
    format === "safetensors"
      ? await openSafetensors(caller, source, maxHeaderBytes)
      : await openPytorch(caller, source, format, { maxHeader: maxHeaderBytes, allowGlobals });
  return makeCheckpoint(caller, source, file, select);
}

async function openSource(
  caller: string,
  source: string | URL | Blob | Uint8Array | ArrayBuffer,
  { fetch, maxWholeBytes = 1 << 28 }: LoadCheckpointOptions,
): Promise<ByteSource> {
  if (source instanceof Uint8Array) return bytesSource(source);
  if (source instanceof ArrayBuffer) return bytesSource(new Uint8Array(source));
  if (source instanceof Blob) return blobSource(source);
  const url = source instanceof URL ? source : httpUrl(source);
  if (url && /^https?:$/.test(url.protocol))
    return httpSource(caller, url, {
      fetch: fetch ?? (await defaultFetch()),
      maxBytes: maxWholeBytes,
    });
  if (typeof source === "string" || url?.protocol === "file:") return fileSource(caller, source);
  throw new DmaeError(
    "argument",
    `${caller}: the source must be a path, a file: or http(s): URL, a Blob or bytes, got ${source}`,
  );
}

function httpUrl(text: string): URL | undefined {
  return /^https?:\/\//i.test(text) ? new URL(text) : undefined;
}
