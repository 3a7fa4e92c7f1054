// For tests only: compiles the mock of __fixtures__/mock and packs it as pip would deliver it.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32, deflateRawSync } from "node:zlib";
import { currentPlatform } from "../platform.ts";
import { requiredSymbols } from "../tensorflow/symbols.ts";

const source = (name: string) =>
  fileURLToPath(new URL(`../tensorflow/__fixtures__/mock/${name}`, import.meta.url));

/** True when the tests that compile can run. */
export const hasCompiler =
  currentPlatform().glibc !== undefined && spawnSync("g++", ["--version"]).status === 0;

/** How a mock TensorFlow differs from the one that links. */
export interface MockOptions {
  /** What its record says. */
  version?: string;
  /** What its library says. */
  libraryVersion?: string;
  /** A function that it lacks. */
  lacks?: string;
  /** A CUDA build that looks for its libraries as the real one does. */
  cuda?: boolean;
}

/** Writes a `site-packages` that holds a mock TensorFlow; returns the folder `tensorflow`. */
export function buildTensorFlow(
  site: string,
  { version = "2.18.1", libraryVersion = version, lacks, cuda = false }: MockOptions = {},
): string {
  const folder = join(site, "tensorflow");
  const inlined = requiredSymbols
    .filter((name) => name !== "TF_Version" && name !== "TFE_Execute" && name !== lacks)
    .map((name) => `NOTHING(${name})\n`);
  write(join(folder, "build", "symbols.inc"), inlined.join(""));
  const compile = (name: string, more: string[]) =>
    execFileSync("gcc", [
      ...[
        "-shared",
        "-fPIC",
        source("tensorflow.c"),
        "-o",
        join(folder, name),
        `-Wl,-soname,${name}`,
      ],
      ...[`-I${join(folder, "build")}`, ...more],
    ]);
  compile("libtensorflow_framework.so.2", []);
  compile("libtensorflow_cc.so.2", [
    ...[
      "-DTENSORFLOW_CC",
      `-DMOCK_VERSION="${libraryVersion}"`,
      "-Wl,--no-as-needed",
      `-L${folder}`,
    ],
    ...[
      "-l:libtensorflow_framework.so.2",
      "-Wl,-rpath,$ORIGIN/:$ORIGIN/../nvidia/cudnn/lib:$ORIGIN/../nvidia/cublas/lib",
    ],
  ]);
  const include = join(folder, "include/tensorflow");
  cpSync(source("c_api.h"), join(include, "c/c_api.h"), { recursive: true });
  write(join(include, "c/types.h"), "#pragma once\ntypedef const char *mock_text;\n");
  write(join(include, "c/unused.h"), "#error nobody includes this\n");
  const info = cuda
    ? "[('cuda_compute_capabilities', ['sm_60', 'sm_80', 'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', True)]"
    : "[('is_cuda_build', False)]";
  write(
    join(folder, "python/platform/build_info.py"),
    `build_info = collections.OrderedDict(${info})\n`,
  );
  write(join(site, `tensorflow_cpu-${version}.dist-info/METADATA`), `Version: ${version}\n`);
  return folder;
}

/** Writes a library `nvidia/<component>/lib/<file>` that loads, with the record of its wheel. */
export function buildCudaLibrary(
  site: string,
  component: string,
  file: string,
  release: string,
): void {
  const folder = join(site, "nvidia", component, "lib");
  mkdirSync(folder, { recursive: true });
  execFileSync("gcc", ["-shared", "-fPIC", "-x", "c", "/dev/null", "-o", join(folder, file)]);
  write(
    join(site, `nvidia_${component}_cu12-${release}.dist-info/METADATA`),
    `Version: ${release}\n`,
  );
}

/** Installs a mock `@tensorflow/tfjs-node` into a project; returns its folder. */
export function installMockPackage(project: string, version = "4.22.0"): string {
  const folder = join(project, "node_modules/@tensorflow/tfjs-node");
  write(join(project, "package.json"), "{}");
  write(
    join(folder, "package.json"),
    JSON.stringify({
      name: "@tensorflow/tfjs-node",
      version,
      main: "dist/index.js",
      binary: { napi_versions: [3, 8] },
    }),
  );
  for (const name of ["tfjs_backend.cc", "tfjs_binding.cc"]) {
    cpSync(source(name), join(folder, "binding", name), { recursive: true });
  }
  const names = requiredSymbols.filter((name) => name !== "TF_Version" && name !== "TFE_Execute");
  write(join(folder, "binding/symbols.inc"), names.map((name) => `NOTHING(${name})\n`).join(""));
  cpSync(source("index.js"), join(folder, "dist/index.js"), { recursive: true });
  return folder;
}

/** Packs a `site-packages` into a wheel: a zip file with every second member deflated. */
export function packWheel(site: string, wheel: string): void {
  const files = readdirSync(site, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [i, file] of files.entries()) {
    const content = readFileSync(file);
    const stored = i % 2 === 0 ? content : deflateRawSync(content);
    const name = Buffer.from(relative(site, file));
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(i % 2 === 0 ? 0 : 8, 4);
    fields.writeUInt16LE(0x21, 8); // 1 January 1980
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(stored.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const head = Buffer.concat([Buffer.from("PK\x03\x04"), fields, name, stored]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    central.push(Buffer.from("PK\x01\x02\x14\x03"), fields, rest, name);
    local.push(head);
    offset += head.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  write(wheel, Buffer.concat([...local, directory, Buffer.from("PK\x05\x06"), end]));
}

function write(file: string, content: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
