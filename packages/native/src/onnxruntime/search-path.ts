import { readFile, writeFile } from "node:fs/promises";
import { NativeError } from "../errors.ts";

const loadable = 1;
const dynamic = 2;
const tagNeeded = 1n;
const tagStrings = 5n;
const tagRunpath = 29n;

/** Of these the provider calls nothing by version: glibc 2.34 and later hold its functions themselves. */
const spare = "librt.so.1";

/**
 * Writes a copy of a library that looks for the libraries it needs in its own folder first (`$ORIGIN`), so that no program has to
 * set `LD_LIBRARY_PATH`. The entry that asks for `librt.so.1` becomes the search path: nothing moves inside the file.
 *
 * @param source a 64-bit little-endian ELF library without a search path
 * @param target the copy
 */
export async function copyWithSearchPath(source: string, target: string): Promise<void> {
  const bytes = await readFile(source);
  const entry = findNeeded(bytes, spare);
  if (entry === undefined)
    throw new NativeError(
      "load",
      `link: ${source} must be the CUDA provider of a pinned wheel, it does not ask for ${spare}`,
      "run npx @dmae/native link onnxruntime --gpu without --providers",
    );
  bytes.writeBigUInt64LE(tagRunpath, entry.at);
  bytes.fill(0, entry.text, entry.text + spare.length);
  bytes.write("$ORIGIN", entry.text, "latin1");
  await writeFile(target, bytes, { mode: 0o755 });
}

/** Where the dynamic section asks for a library, and where its name stands. */
function findNeeded(bytes: Buffer, name: string): { at: number; text: number } | undefined {
  if (bytes.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") return undefined;
  const segments = readSegments(bytes);
  const section = segments.find(({ type }) => type === dynamic);
  if (section === undefined) return undefined;
  const entries: { at: number; tag: bigint; value: number }[] = [];
  for (let at = section.offset; at < section.offset + section.size; at += 16)
    entries.push({
      at,
      tag: bytes.readBigUInt64LE(at),
      value: Number(bytes.readBigUInt64LE(at + 8)),
    });
  const address = entries.find(({ tag }) => tag === tagStrings)?.value ?? 0;
  const holder = segments.find(
    ({ type, start, size }) => type === loadable && start <= address && address < start + size,
  );
  if (holder === undefined) return undefined;
  const strings = holder.offset + address - holder.start;
  const isName = (text: number) =>
    bytes.toString("latin1", text, text + name.length + 1) === `${name}\0`;
  const found = entries.find(({ tag, value }) => tag === tagNeeded && isName(strings + value));
  return found && { at: found.at, text: strings + found.value };
}

function readSegments(bytes: Buffer) {
  const first = Number(bytes.readBigUInt64LE(32));
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => {
    const at = first + i * 56;
    return {
      type: bytes.readUInt32LE(at),
      offset: Number(bytes.readBigUInt64LE(at + 8)),
      start: Number(bytes.readBigUInt64LE(at + 16)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
    };
  });
}
