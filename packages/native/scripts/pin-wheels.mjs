// Writes src/pinned-wheels.json: for each TensorFlow release the wheels that `link` may fetch, with their SHA-256.
// Run by hand when a release is added: `node scripts/pin-wheels.mjs`. Reads the package index and, by range requests,
// the list of CUDA libraries inside each CUDA wheel; downloads no wheel.
import { writeFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

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

const linux = (machine) => new RegExp(`-(?:cp311-cp311|py3-none)-manylinux[^-]*_${machine}\\.whl$`);
const pinned = [];
for (const version of releases) {
  const gpu = await pin("tensorflow", version, linux("x86_64"));
  const metadata = await member(gpu.url, gpu.bytes, /\.dist-info\/METADATA$/);
  const nvidia = [];
  for (const wanted of cudaRequirements(metadata)) {
    nvidia.push(await pin(wanted.project, wanted.version, linux("x86_64")));
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
const strip = (key, value) => (key === "url" ? undefined : value);
writeFileSync(
  new URL("../src/pinned-wheels.json", import.meta.url),
  `${JSON.stringify(pinned, strip, 2)}\n`,
);
