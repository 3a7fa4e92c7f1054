import { type FileHandle, open } from "node:fs/promises";

/** What a shared library says about itself: the parts of its dynamic section that linking depends on. */
export interface SharedLibrary {
  /** The processor it was built for. */
  readonly machine: "x64" | "arm64" | "other";
  /** The libraries it loads, by file name. */
  readonly needed: readonly string[];
  /** Where it looks for them; `$ORIGIN` is left as it stands. */
  readonly runpath: readonly string[];
  /** The dynamic symbols it defines whose names start with the prefix asked for. */
  readonly defines: ReadonlySet<string>;
  /** The dynamic symbols it expects from others whose names start with the prefix asked for. */
  readonly expects: ReadonlySet<string>;
}

const sectionDynamic = 6;
const sectionDynamicSymbols = 11;
const tagNeeded = 1;
const tagRpath = 15;
const tagRunpath = 29;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/**
 * Reads the dynamic section and the dynamic symbol table of a 64-bit little-endian ELF file ("ELF-64 Object File
 * Format", version 1.5), without `nm`: the container that runs an addon rarely has binutils.
 *
 * @param path a shared library; only its tables are read, not its code
 * @param prefix keeps the symbols that start with it (a TensorFlow library defines several hundred thousand)
 * @returns undefined when the file is no such ELF file
 */
export async function readSharedLibrary(
  path: string,
  prefix: string,
): Promise<SharedLibrary | undefined> {
  const file = await open(path, "r");
  try {
    const header = await read(file, 0, 64);
    if (header.length < 64 || header.toString("latin1", 0, 6) !== "\x7fELF\x02\x01")
      return undefined;
    const sections = await readSections(file, header);
    const strings = async (section: Section) => {
      const table = sections[section.link];
      return table === undefined ? Buffer.alloc(0) : read(file, table.offset, table.size);
    };
    const dynamic = sections.find(({ type }) => type === sectionDynamic);
    const symbols = sections.find(({ type }) => type === sectionDynamicSymbols);
    return {
      machine: ({ 62: "x64", 183: "arm64" } as const)[header.readUInt16LE(18)] ?? "other",
      ...dynamicEntries(
        dynamic && (await read(file, dynamic.offset, dynamic.size)),
        dynamic && (await strings(dynamic)),
      ),
      ...dynamicSymbols(
        symbols && (await read(file, symbols.offset, symbols.size)),
        symbols && (await strings(symbols)),
        prefix,
      ),
    };
  } finally {
    await file.close();
  }
}

async function read(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

async function readSections(file: FileHandle, header: Buffer): Promise<Section[]> {
  const entry = header.readUInt16LE(58);
  const count = header.readUInt16LE(60);
  const table = await read(file, Number(header.readBigUInt64LE(40)), entry * count);
  return Array.from({ length: Math.floor(table.length / entry) }, (_, i) => {
    const at = i * entry;
    return {
      type: table.readUInt32LE(at + 4),
      offset: Number(table.readBigUInt64LE(at + 24)),
      size: Number(table.readBigUInt64LE(at + 32)),
      link: table.readUInt32LE(at + 40),
    };
  });
}

function text(strings: Buffer, start: number): string {
  const end = strings.indexOf(0, start);
  return strings.toString("utf8", start, end < 0 ? strings.length : end);
}

function dynamicEntries(entries: Buffer | undefined, strings: Buffer | undefined) {
  const needed: string[] = [];
  const runpath: string[] = [];
  if (entries === undefined || strings === undefined) return { needed, runpath };
  for (let at = 0; at + 16 <= entries.length; at += 16) {
    const tag = Number(entries.readBigUInt64LE(at));
    const value = Number(entries.readBigUInt64LE(at + 8));
    if (tag === tagNeeded) needed.push(text(strings, value));
    else if (tag === tagRpath || tag === tagRunpath)
      runpath.push(...text(strings, value).split(":"));
  }
  return { needed, runpath };
}

function dynamicSymbols(table: Buffer | undefined, strings: Buffer | undefined, prefix: string) {
  const defines = new Set<string>();
  const expects = new Set<string>();
  if (table === undefined || strings === undefined) return { defines, expects };
  const start = Buffer.from(prefix);
  for (let at = 0; at + 24 <= table.length; at += 24) {
    const name = table.readUInt32LE(at);
    if (start.compare(strings, name, name + start.length) !== 0) continue;
    const definedIn = table.readUInt16LE(at + 6); // section index 0: undefined here
    (definedIn === 0 ? expects : defines).add(text(strings, name));
  }
  return { defines, expects };
}
