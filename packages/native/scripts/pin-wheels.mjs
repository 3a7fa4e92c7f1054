// Writes src/pinned-wheels.json and src/onnxruntime/pinned-providers.json: for each release of TensorFlow and ONNX Runtime the
// wheels that `link` may fetch, with their SHA-256. Run by hand when a release is added:
// `node scripts/pin-wheels.mjs [tensorflow] [onnxruntime]`. Reads the package index and, by range requests, the list of CUDA
// libraries inside each CUDA wheel of TensorFlow; downloads no wheel.
import { writeFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

/**
 * Releases of onnxruntime-node that have a CUDA provider, and the CUDA libraries that it was run with: those of one CUDA
 * release, within what the metadata of the `onnxruntime-gpu` wheel allow.
 */
const providers = [
  {
    version: "1.30.0",
    cuda: {
      "nvidia-cublas": "13.0.2.14",
      "nvidia-cuda-nvrtc": "13.0.88",
      "nvidia-cuda-runtime": "13.0.96",
      "nvidia-cudnn-cu13": "9.14.0.64",
      "nvidia-cufft": "12.0.0.61",
      "nvidia-curand": "10.4.0.35",
      "nvidia-nvjitlink": "13.0.88",
    },
  },
];

const releases = ["2.16.2", "2.17.1", "2.18.1", "2.19.1", "2.20.0", "2.21.0"];
const index = process.env.PIP_INDEX_URL ?? "https://pypi.org/simple";
const pages = new Map();

async function files(project) {
  if (!pages.has(project)) {
    const response = await fetch(`${index.replace(/\/$/, "")}/${project}/`, {
      headers: { accept: "application/vnd.pypi.simple.v1+json" },
    });
    if (!response.ok) throw new Error(`${project}: ${response.status}`);
    pages.set(project, (await response.json()).files);
  }
  return pages.get(project);
}

async function pin(project, version, tags) {
  const found = (await files(project)).filter(
    ({ filename }) =>
      filename.startsWith(`${project.replaceAll("-", "_")}-${version}-`) && tags.test(filename),
  );
  if (found.length !== 1) throw new Error(`${project} ${version} ${tags}: ${found.length} files`);
  const { filename, size, hashes, url } = found[0];
  return { project, version, file: filename, bytes: size, sha256: hashes.sha256, url };
}

/** The text of one member of a remote wheel, read through its central directory (wheels here have no zip64 fields). */
async function member(url, size, name) {
  const range = async (start, length) => {
    const response = await fetch(url, {
      headers: { range: `bytes=${start}-${start + length - 1}` },
    });
    return Buffer.from(await response.arrayBuffer());
  };
  const tail = await range(size - 65_557, 65_557);
  const end = tail.lastIndexOf(Buffer.from("PK\x05\x06"));
  const directory = await range(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  for (let at = 0; at < directory.length; ) {
    const nameLength = directory.readUInt16LE(at + 28);
    const path = directory.toString("utf8", at + 46, at + 46 + nameLength);
    if (name.test(path)) {
      const start = directory.readUInt32LE(at + 42);
      const length = directory.readUInt32LE(at + 20);
      const raw = await range(start, 30 + nameLength + 4096 + length);
      const from = 30 + raw.readUInt16LE(26) + raw.readUInt16LE(28);
      return inflateRawSync(raw.subarray(from, from + length)).toString("utf8");
    }
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw new Error(`${url}: no ${name}`);
}

/** `nvidia-x-cu12==1.2` and `nvidia-x-cu12<13.0,>=1.2` both name 1.2: the release TensorFlow was built against. */
function cudaRequirements(metadata) {
  return metadata
    .split("\n")
    .filter((line) => /^Requires-Dist: nvidia-.*and-cuda/.test(line))
    .map((line) => {
      const [, project, version] =
        /^Requires-Dist: (nvidia-[a-z0-9-]+).*?(?:==|>=)\s*([\d.]+)/.exec(line);
      return { project, version };
    });
}

const linux = (machine, python = "cp311") =>
  new RegExp(`-(?:${python}-${python}|py3-none)-manylinux[^-]*_${machine}\\.whl$`);
const wanted = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.includes(name);

async function pinProviders() {
  const pinned = [];
  for (const { version, cuda } of providers) {
    const provider = await pin("onnxruntime-gpu", version, linux("x86_64", "cp312"));
    const libraries = [];
    for (const [project, release] of Object.entries(cuda))
      libraries.push(await pin(project, release, linux("x86_64")));
    pinned.push({ version, provider, cuda: libraries });
  }
  return pinned;
}

async function pinTensorflow() {
  const pinned = [];
  for (const version of releases) {
    const gpu = await pin("tensorflow", version, linux("x86_64"));
    const metadata = await member(gpu.url, gpu.bytes, /\.dist-info\/METADATA$/);
    const nvidia = [];
    for (const library of cudaRequirements(metadata)) {
      nvidia.push(await pin(library.project, library.version, linux("x86_64")));
    }
    pinned.push({
      version,
      cpu: {
        x64: await pin("tensorflow-cpu", version, linux("x86_64")),
        arm64: await pin("tensorflow", version, linux("aarch64")),
      },
      gpu: { x64: [gpu, ...nvidia] },
    });
    console.error(`${version}: ${nvidia.length} CUDA wheels`);
  }
  return pinned;
}

const strip = (key, value) => (key === "url" ? undefined : value);
const write = (path, pinned) =>
  writeFileSync(
    new URL(`../src/${path}.json`, import.meta.url),
    `${JSON.stringify(pinned, strip, 2)}\n`,
  );
if (isWanted("tensorflow")) write("pinned-wheels", await pinTensorflow());
if (isWanted("onnxruntime")) write("onnxruntime/pinned-providers", await pinProviders());
