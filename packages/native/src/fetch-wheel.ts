import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NativeError } from "./errors.ts";
import type { PinnedWheel } from "./pinned-wheels.ts";
import { runCommand } from "./run-command.ts";

/** SHA-256 of a file, lower-case hexadecimal. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/**
 * Fetches a wheel into a folder: with pip where there is one (which knows this machine's mirrors, proxies and
 * certificates), else straight from the index; either way the hash must be the pinned one.
 */
export async function fetchWheel(wheel: PinnedWheel, folder: string): Promise<string> {
  const file = join(folder, wheel.file);
  const failure = (await fetchWithPip(wheel, folder)) ?? undefined;
  if (failure === "no pip") await fetchFromIndex(wheel, file);
  else if (failure !== undefined) throw downloadError(wheel, failure);
  const found = await sha256(file);
  if (found !== wheel.sha256) {
    await rm(file, { force: true });
    throw downloadError(wheel, `SHA-256 must be ${wheel.sha256}, got ${found}`);
  }
  return file;
}

/** Fails before the first byte when the wheels and what they unpack to do not fit: at most 4 times the first, TensorFlow, and twice the others. */
export async function checkSpace(wheels: readonly PinnedWheel[], folder: string): Promise<void> {
  const bytes = wheels.reduce((sum, wheel, i) => sum + (i === 0 ? 4 : 2) * wheel.bytes, 0);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes) {
    const giga = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
    throw new NativeError(
      "download",
      `link: ${folder} must have ${giga(bytes)} free, got ${giga(bavail * bsize)}`,
      "choose another folder with --cache DIR",
    );
  }
}

function downloadError(wheel: PinnedWheel, reason: string): NativeError {
  return new NativeError(
    "download",
    `link: cannot fetch ${wheel.file}: ${reason}`,
    `fetch it by other means (https://pypi.org/project/${wheel.project}/${wheel.version}/#files) and pass --wheel FILE`,
  );
}

/** What pip would otherwise take from the Python it runs on is read off the wheel's name: any Python 3 will do. */
async function fetchWithPip(wheel: PinnedWheel, folder: string): Promise<string | undefined> {
  const python = await findPip();
  if (python === undefined) return "no pip";
  const [implementation = "", abi = "", platforms = ""] = wheel.file
    .replace(/\.whl$/, "")
    .split("-")
    .slice(2);
  const requirements = join(folder, `${wheel.project}.txt`);
  await writeFile(
    requirements,
    `${wheel.project}==${wheel.version} --hash=sha256:${wheel.sha256}\n`,
  );
  const { status, stderr } = await runCommand(python, [
    ..."-I -m pip download --quiet --no-deps --no-cache-dir --only-binary=:all: --require-hashes".split(
      " ",
    ),
    ...["--python-version", pythonOf(implementation), "--abi", abi],
    ...["--implementation", implementation.startsWith("cp") ? "cp" : "py"],
    ...platforms.split(".").flatMap((platform) => ["--platform", platform]),
    ...["--dest", folder, "--requirement", requirements],
  ]);
  await rm(requirements, { force: true });
  return status === 0 ? undefined : `pip says: ${lastLine(stderr)}`;
}

/** `cp312` is Python 3.12; a wheel for any Python 3 (`py3`) is taken for 3.11. */
function pythonOf(implementation: string): string {
  const minor = /^cp3(\d+)$/.exec(implementation)?.[1] ?? "11";
  return `3.${minor}`;
}

/** `-I` everywhere: Python would otherwise run a `pip.py` that lies in the working directory. */
async function findPip(): Promise<string | undefined> {
  for (const python of ["python3", "python"]) {
    if ((await runCommand(python, ["-I", "-m", "pip", "--version"])).status === 0) return python;
  }
  return undefined;
}

function lastLine(output: string): string {
  const lines = output
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("WARNING"));
  return lines.at(-1)?.trim() ?? "nothing";
}

/** PEP 691: the index as JSON. */
async function fetchFromIndex(wheel: PinnedWheel, file: string): Promise<void> {
  const index = (process.env.PIP_INDEX_URL ?? "https://pypi.org/simple").replace(/\/$/, "");
  try {
    const page = await fetchOk(`${index}/${wheel.project}/`, "application/vnd.pypi.simple.v1+json");
    const { files } = (await page.json()) as { files: { filename: string; url: string }[] };
    const entry = files.find(({ filename }) => filename === wheel.file);
    if (entry === undefined) throw new Error(`${index} does not list it`);
    const { body } = await fetchOk(new URL(entry.url, page.url).href, "*/*");
    await pipeline(
      Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
      (chunks: AsyncIterable<Uint8Array>) => upTo(wheel.bytes, chunks),
      createWriteStream(file),
    );
  } catch (cause) {
    await rm(file, { force: true });
    throw downloadError(wheel, (cause as Error).message);
  }
}

/** What a server sends, ended by an error where it is more than it must be. */
async function* upTo(bytes: number, chunks: AsyncIterable<Uint8Array>) {
  let received = 0;
  for await (const chunk of chunks) {
    received += chunk.length;
    if (received > bytes) throw new Error(`it must have ${bytes} bytes, the server sent more`);
    yield chunk;
  }
}

async function fetchOk(url: string, accept: string): Promise<Response> {
  const response = await fetch(url, { headers: { accept } });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}
