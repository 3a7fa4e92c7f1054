// Writes all that scripts/prove-gpu.mjs needs on a machine without npm or internet (Linux, x64), in parts of at most 60 MiB:
//
//   prove.sh               unpacks what lies beside it and runs the proof; pass it the options of prove-gpu.mjs
//   1-webgpu.tar.xz        Node, our packages, ONNX Runtime: all that the WebGPU lane needs
//   2-images.tar           Fashion-MNIST
//   3-cuda.tar.xz.00 …     the CUDA provider; the CUDA libraries are those of that machine's PyTorch
//   4-nvrtc.tar.xz         NVRTC, which compiles our kernels there; it is used instead of PyTorch's
//   5-cifar.tar.xz.00 …    CIFAR-10, where --cifar names its folder
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const largest = 60 * 2 ** 20;

const ours =
  "core nn compile vit convnet train finetune pretrain smoothing-certify datasets fashion-mnist native checkpoint reproduce models".split(
    " ",
  );
const others = [
  "@tensorflow/tfjs-core",
  "@tensorflow/tfjs-backend-cpu",
  "onnxruntime-node",
  "pngjs",
];
/** What only installing, browsers or formats that are not read here need. */
const left =
  /^(@types\/|@webgpu\/types|adm-zip|global-agent|node-api-headers|sharp|onnxruntime-web|undici|@tensorflow\/tfjs-(node|converter|layers|backend-w))/;

/**
 * @param options `only`: the parts to write; `cifar`: the folder of CIFAR-10's binary files; `level`: how hard xz tries on the program, 0 to 9
 */
export function pack(target, { only, cifar, level = 6 } = {}) {
  mkdirSync(target, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "prove-gpu-"));
  const packCifar = (target, folder) => {
    cpSync(cifar, join(folder, "cifar"), { recursive: true });
    archivePieces(join(target, "5-cifar.tar.xz"), folder);
  };
  const card = { cuda: packCuda, nvrtc: packNvrtc, cifar: packCifar };
  const parts = { webgpu: packProgram, images: packImages, ...card };
  try {
    for (const [name, make] of Object.entries(parts))
      if (only ? only.includes(name) : name !== "cifar" || cifar !== undefined)
        make(target, join(folder, name), level);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  cpSync(join(root, "scripts/prove-gpu.sh"), join(target, "prove.sh"));
  chmodSync(join(target, "prove.sh"), 0o755);
  for (const name of readdirSync(target).sort()) {
    const { size } = statSync(join(target, name));
    console.log(`${name} ${(size / 2 ** 20).toFixed(1)} MiB`);
    if (size > largest) throw new Error(`${name} is larger than 60 MiB`);
  }
}

function packProgram(target, folder, level) {
  const modules = join(folder, "node_modules");
  const copied = new Map();
  for (const name of ours) copyPackage(`@dmae/${name}`, join(root, "benchmarks"), modules, copied);
  for (const name of others) copyPackage(name, join(root, "examples/quickstart"), modules, copied);
  for (const path of [
    "scripts/prove-gpu.mjs",
    "benchmarks/prove-gpu",
    "benchmarks/torch_baseline.py",
  ])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  bundleQuickstart(join(folder, "benchmarks/prove-gpu/quickstart.mjs"));
  cpSync(realpathSync(process.execPath), join(folder, "node"));
  const vulkan = "/usr/lib/x86_64-linux-gnu/libvulkan.so.1";
  if (existsSync(vulkan)) cpSync(realpathSync(vulkan), join(folder, "lib/libvulkan.so.1"));
  archive(join(target, "1-webgpu.tar.xz"), folder, level);
}

/** The quickstart as one file of JavaScript, for a machine without a compiler of TypeScript. */
function bundleQuickstart(outfile) {
  const fromQuickstart = createRequire(join(root, "examples/quickstart/package.json"));
  const { buildSync } = createRequire(fromQuickstart.resolve("tsx"))("esbuild");
  buildSync({
    entryPoints: [join(root, "examples/quickstart/src/main.ts")],
    outfile,
    ...{ bundle: true, packages: "external", platform: "node", format: "esm", tsconfigRaw: "{}" },
  });
}

function packImages(target, folder) {
  const data = "node_modules/@dmae/fashion-mnist/data";
  cpSync(join(root, "packages/fashion-mnist/data"), join(folder, data), {
    recursive: true,
  });
  execFileSync("tar", ["-cf", join(target, "2-images.tar"), "-C", folder, "."]);
}

function packCuda(target, folder) {
  const source = findProvider();
  for (const name of ["cuda", "shared"]) {
    const file = `libonnxruntime_providers_${name}.so`;
    cpSync(join(source, file), join(folder, "cuda", file));
  }
  archivePieces(join(target, "3-cuda.tar.xz"), folder);
}

function archivePieces(whole, folder) {
  archive(whole, folder, 2);
  execFileSync("split", ["-b", String(largest), "-d", whole, `${whole}.`]);
  rmSync(whole);
}

function packNvrtc(target, folder, level) {
  const source = findFetched("nvidia/cu13/lib", "libnvrtc.so.13", process.env.DMAE_NVRTC);
  for (const file of ["libnvrtc.so.13", "libnvrtc-builtins.so.13.0"])
    cpSync(realpathSync(join(source, file)), join(folder, "cuda", file));
  archive(join(target, "4-nvrtc.tar.xz"), folder, Math.min(level, 2));
}

/** As the wheel has it: what `link` puts into a project was changed. */
const findProvider = () =>
  findFetched(
    "onnxruntime/capi",
    "libonnxruntime_providers_cuda.so",
    process.env.DMAE_CUDA_PROVIDER,
  );

/** The folder with a file of a fetched wheel: `given`, else one of the cache of `link`. */
function findFetched(place, file, given) {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dmae/native");
  const fetched = existsSync(cache) ? readdirSync(cache) : [];
  const folders = [given, ...fetched.map((name) => join(cache, name, "site", place))];
  const found = folders.find((each) => each && existsSync(join(each, file)));
  if (found) return found;
  throw new Error(
    `--pack: ${file} was not fetched; run npx @dmae/native link onnxruntime --gpu, or pass --parts webgpu,images`,
  );
}

function archive(file, folder, level) {
  execFileSync("tar", ["-cf", file, "-I", `xz -${level} -T0`, "-C", folder, "."]);
}

/** Copies a package and all it needs into one flat folder. */
function copyPackage(name, from, modules, copied) {
  if (copied.has(name) || left.test(name)) return;
  const folder = findPackage(name, from);
  if (folder === undefined) return;
  copied.set(name, folder);
  const json = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const published = name.startsWith("@dmae/")
    ? ["package.json", ...json.files]
    : readdirSync(folder);
  for (const entry of published)
    if (
      !/^(node_modules|README.md|data)$/.test(entry) &&
      !(entry === "src" && name.startsWith("@tensorflow/")) &&
      existsSync(join(folder, entry))
    )
      cpSync(join(folder, entry), join(modules, name, entry), {
        recursive: true,
        dereference: true,
        filter: isNeeded,
      });
  for (const next of Object.keys({ ...json.dependencies, ...json.peerDependencies }))
    copyPackage(next, folder, modules, copied);
}

const isNeeded = (path) =>
  !/\.(map|ts|mts|cts|md)$|\.min\.js$|\/(win32|darwin|arm64|node_modules|benchmarks)$|fesm|es2017|\.turbo/.test(
    path,
  ) || path.endsWith("dist");

/** Where Node would find a package from a folder. */
function findPackage(name, from) {
  for (let folder = realpathSync(from); ; folder = dirname(folder)) {
    const found = join(folder, "node_modules", name);
    if (existsSync(join(found, "package.json"))) return realpathSync(found);
    const own = join(root, "packages", name.replace("@dmae/", ""));
    if (folder === dirname(folder))
      return name.startsWith("@dmae/") && existsSync(own) ? own : undefined;
  }
}
