import { DmaeError } from "@dmae/core";
import { standIn } from "@dmae/core/checks";

/**
 * Tells the formats apart by the first bytes of a file; what cannot be read is named, with advice.
 *
 * @internal
 */
export function recogniseFormat(
  caller: string,
  label: string,
  start: Uint8Array,
): "pytorch-zip" | "pytorch-legacy" | "safetensors" {
  const text = String.fromCharCode(...start);
  const other = standIn(start);
  if (other) throw new DmaeError("file", `${caller}: ${label} is ${other}`, { file: label });
  if (text.startsWith("PK\x03\x04")) return "pytorch-zip";
  if (text.startsWith("\x80") && text.slice(2, 24).includes(legacyMagic)) return "pytorch-legacy";
  if (text[8] === "{") return "safetensors";
  const known = foreign.find(({ matches }) => matches(text));
  const code = known?.code ?? "file";
  const what = known?.what ?? "neither a PyTorch nor a safetensors file";
  throw new DmaeError(code, `${caller}: ${label} is ${what}`, { file: label });
}

const saveAgain =
  'save it again with PyTorch 1.6 or newer: torch.save(torch.load("old.pth", map_location="cpu", weights_only=False), "new.pth"), for a file that you trust; weights_only=True suffices where nothing but tensors is in it';

const legacyMagic = "\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"; // the number 0x1950a86a20f9469cfc6c

const foreign: readonly {
  readonly matches: (text: string) => boolean;
  readonly code: "unsupported" | "file";
  readonly what: string;
}[] = [
  {
    matches: (text) => text.startsWith("ustar", 257),
    code: "unsupported",
    what: `a tar archive, the format of the first PyTorch versions or a packed folder; unpack it, or ${saveAgain}`,
  },
  {
    matches: (text) => text.startsWith("\x80"),
    code: "unsupported",
    what: "a plain Python pickle, not what torch.save writes; save the tensors with torch.save or safetensors",
  },
  {
    matches: (text) => text.startsWith("\x89HDF"),
    code: "unsupported",
    what: "an HDF5 file (Keras); save the weights as safetensors",
  },
  {
    matches: (text) => text.startsWith("GGUF"),
    code: "unsupported",
    what: "a GGUF file; save the weights as safetensors",
  },
  {
    matches: (text) => text.startsWith("\x1f\x8b"),
    code: "file",
    what: "gzip compressed; unpack it first",
  },
];
