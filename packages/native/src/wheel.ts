import { createWriteStream } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { readSharedLibrary } from "./elf.ts";
import { NativeError } from "./errors.ts";

/** A wheel opened for reading: a zip file with its members by name. */
interface Wheel {
  readonly zip: ZipFile;
  readonly members: ReadonlyMap<string, Entry>;
}

const libraries = ["tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2"];
const includeRoot = "tensorflow/include";
const headers = [
  "tensorflow/c/c_api.h",
  "tensorflow/c/eager/c_api.h",
  "tensorflow/c/tf_datatype.h",
  "tensorflow/c/tf_status.h",
  "tensorflow/c/tf_tensor.h",
  "tensorflow/core/platform/ctstring_internal.h",
];

/**
 * Unpacks of a TensorFlow wheel what an addon needs: the two libraries, whatever libraries of the wheel they load, the
 * headers of the C API with every header these include, and what the wheel says of its build.
 *
 * @param file the wheel
 * @param site the folder that plays `site-packages`: the libraries look for `../nvidia/…` relative to themselves
 */
export async function unpackTensorFlow(file: string, site: string): Promise<void> {
  await withWheel(file, async (wheel) => {
    for (const library of libraries) {
      if (!wheel.members.has(library)) {
        throw new NativeError(
          "tensorflow",
          `link: a TensorFlow wheel must hold ${library}, got ${file}`,
          "choose a Linux wheel of TensorFlow 2.16 to 2.21",
        );
      }
    }
    const documents = [...wheel.members.keys()].filter((name) =>
      /^tensorflow[^/]*\.dist-info\/METADATA$|^tensorflow\/python\/platform\/build_info\.py$/.test(
        name,
      ),
    );
    await extractAll(wheel, documents, site);
    await extractLibraries(wheel, site);
    await extractHeaders(wheel, site);
  });
}

/** Unpacks of an `onnxruntime-gpu` wheel the CUDA provider and what loads it. */
export async function unpackProviders(file: string, site: string): Promise<void> {
  await withWheel(file, async (wheel) => {
    const names = ["cuda", "shared"].map(
      (name) => `onnxruntime/capi/libonnxruntime_providers_${name}.so`,
    );
    const missing = names.find((name) => !wheel.members.has(name));
    if (missing !== undefined)
      throw new NativeError(
        "argument",
        `link: an onnxruntime-gpu wheel must hold ${missing}, got ${file}`,
      );
    await extractAll(wheel, names, site);
  });
}

/** Unpacks an `nvidia-*` wheel without its headers and static libraries. */
export async function unpackCudaLibraries(file: string, site: string): Promise<void> {
  await withWheel(file, async (wheel) => {
    const wanted = [...wheel.members.keys()].filter(
      (name) =>
        /^nvidia[^/]*\.dist-info\/METADATA$|^nvidia\//.test(name) &&
        !/\/include\/|\.a$|\/$/.test(name),
    );
    if (wanted.length === 0) {
      throw new NativeError(
        "argument",
        `link: expected a wheel of nvidia-* libraries, got ${file}`,
      );
    }
    await extractAll(wheel, wanted, site);
  });
}

async function withWheel(file: string, use: (wheel: Wheel) => Promise<void>): Promise<void> {
  let zip: ZipFile;
  try {
    zip = await openPromise(file, { autoClose: false, lazyEntries: true });
  } catch (cause) {
    throw new NativeError(
      "argument",
      `link: cannot read ${file} as a wheel (${(cause as Error).message})`,
      "download it again",
      { cause },
    );
  }
  try {
    const members = new Map<string, Entry>();
    for await (const entry of zip.eachEntry()) members.set(entry.fileName, entry);
    await use({ zip, members });
  } finally {
    zip.close();
  }
}

/** yauzl has refused absolute names and `..` by now, so every member lands below `site`. */
async function extract({ zip, members }: Wheel, name: string, site: string): Promise<string> {
  const entry = members.get(name)!;
  const target = join(site, ...name.split("/"));
  await mkdir(dirname(target), { recursive: true });
  await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target));
  if ((entry.externalFileAttributes >>> 16) & 0o100) await chmod(target, 0o755);
  return target;
}

async function extractAll(wheel: Wheel, names: readonly string[], site: string): Promise<void> {
  for (const name of names) await extract(wheel, name, site);
}

/** Some wheels bring further libraries that TensorFlow loads (OpenMP on arm64): follow what each library needs. */
async function extractLibraries(wheel: Wheel, site: string): Promise<void> {
  const byFileName = new Map([...wheel.members.keys()].map((name) => [posix.basename(name), name]));
  const queue = [...libraries];
  const seen = new Set(queue);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const library = await readSharedLibrary(await extract(wheel, name, site), "TF");
    for (const needed of library?.needed ?? []) {
      const member = byFileName.get(needed);
      if (member === undefined || seen.has(member)) continue;
      seen.add(member);
      queue.push(member);
    }
  }
}

/** A wheel carries ten thousand headers, the C API includes some twenty of them: follow the include lines. */
async function extractHeaders(wheel: Wheel, site: string): Promise<void> {
  const queue = headers.map((name) => `${includeRoot}/${name}`);
  const seen = new Set(queue);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const entry = wheel.members.get(name);
    if (entry === undefined) continue;
    await extract(wheel, name, site);
    const source = await text(await wheel.zip.openReadStreamPromise(entry));
    for (const [, included = ""] of source.matchAll(/^\s*#\s*include\s*["<]([^">]+)[">]/gm)) {
      const near = posix.join(posix.dirname(name), included);
      for (const candidate of [near, `${includeRoot}/${included}`]) {
        if (seen.has(candidate) || !wheel.members.has(candidate)) continue;
        seen.add(candidate);
        queue.push(candidate);
      }
    }
  }
}
