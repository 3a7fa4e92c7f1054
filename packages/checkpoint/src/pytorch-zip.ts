import { DmaeError } from "@dmae/core";
import type { ByteSource } from "./byte-source.ts";
import type { PytorchContainer, PytorchLimits } from "./pytorch-container.ts";
import { unpickle } from "./unpickle.ts";
import { openZip, type ZipArchive } from "./zip-read.ts";

/** What `torch.save` writes since PyTorch 1.6: a zip of one pickle and one file per storage. @internal */
export async function openPytorchZip(
  caller: string,
  source: ByteSource,
  limits: PytorchLimits,
): Promise<PytorchContainer> {
  const archive = await openZip(caller, source, limits.maxHeader);
  const prefix = archivePrefix(caller, archive);
  await checkByteOrder(caller, archive, prefix);
  const pickle = await readSmall(caller, archive, `${prefix}data.pkl`, limits.maxHeader);
  return {
    root: unpickle(caller, pickle, limits).value,
    storage: ({ key }) => {
      const entry = archive.entries.get(`${prefix}data/${key}`);
      return entry && { size: entry.size, read: (from, to) => archive.read(entry, from, to) };
    },
  };
}

/** The folder inside the archive, `name/`. */
function archivePrefix(caller: string, { entries }: ZipArchive): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const prefix = pickles.length === 1 ? pickles[0]!.slice(0, -"data.pkl".length) : undefined;
  if (prefix === undefined)
    throw new DmaeError(
      "file",
      `${caller}: a PyTorch checkpoint is an archive with one data.pkl, this one has ${pickles.length}`,
    );
  if (entries.has(`${prefix}constants.pkl`))
    throw new DmaeError(
      "unsupported",
      `${caller}: this is a TorchScript program, not a checkpoint; in Python: torch.save(torch.jit.load(path).state_dict(), "weights.pth")`,
    );
  return prefix;
}

async function checkByteOrder(caller: string, archive: ZipArchive, prefix: string): Promise<void> {
  const name = `${prefix}byteorder`;
  if (!archive.entries.has(name)) return; // files before PyTorch 2.1 are little-endian
  const order = new TextDecoder("latin1").decode(await readSmall(caller, archive, name, 100));
  if (order !== "little")
    throw new DmaeError("unsupported", `${caller}: byte order must be little, got "${order}"`);
}

async function readSmall(
  caller: string,
  archive: ZipArchive,
  name: string,
  limit: number,
): Promise<Uint8Array> {
  const entry = archive.entries.get(name)!;
  if (entry.size > limit)
    throw new DmaeError(
      "file",
      `${caller}: "${name}" may have ${limit} bytes at most, got ${entry.size}; maxHeaderBytes raises the cap`,
    );
  return archive.read(entry, 0, entry.size);
}
