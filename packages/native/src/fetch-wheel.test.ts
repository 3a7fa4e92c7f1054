import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { checkSpace, fetchWheel } from "./fetch-wheel.ts";
import { pinnedReleases } from "./pinned-wheels.ts";
import { findTensorFlowOf } from "./tensorflow/find-python.ts";

const root = mkdtempSync(join(tmpdir(), "dmae-native-fetch-"));
const content = "the bytes of a wheel";
const wheel = {
  project: "nvidia-mock-cu12",
  version: "12.5.1",
  file: "nvidia_mock_cu12-12.5.1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
  bytes: content.length,
  sha256: createHash("sha256").update(content).digest("hex"),
};
const { PATH, PIP_INDEX_URL } = process.env;
let server: Server;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === `/simple/${wheel.project}/`) {
      response.end(
        JSON.stringify({ files: [{ filename: wheel.file, url: `../../files/${wheel.file}` }] }),
      );
    } else if (request.url === `/files/${wheel.file}`) response.end(content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});
afterEach(() => {
  Object.assign(process.env, { PATH, PIP_INDEX_URL: PIP_INDEX_URL ?? "" });
  if (PIP_INDEX_URL === undefined) delete process.env.PIP_INDEX_URL;
});

function withoutPip(): string {
  const folder = mkdtempSync(join(root, "to-"));
  process.env.PATH = join(root, "nothing");
  process.env.PIP_INDEX_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple/`;
  return folder;
}

describe("fetchWheel", () => {
  it("reads the index itself where there is no pip", async () => {
    const file = await fetchWheel(wheel, withoutPip());
    expect(readFileSync(file, "utf8")).toBe(content);
  });

  it("refuses other bytes than the pinned ones and leaves none behind", async () => {
    const folder = withoutPip();
    const other = { ...wheel, sha256: "0".repeat(64) };
    await expect(fetchWheel(other, folder)).rejects.toThrow(
      /SHA-256 must be 0{64}, got [0-9a-f]{64}; fetch it by other means/,
    );
    expect(existsSync(join(folder, wheel.file))).toBe(false);
  });

  it("stops where the index sends more than the wheel has, and leaves none behind", async () => {
    const folder = withoutPip();
    await expect(fetchWheel({ ...wheel, bytes: 19 }, folder)).rejects.toThrow(
      "it must have 19 bytes, the server sent more",
    );
    expect(existsSync(join(folder, wheel.file))).toBe(false);
  });

  it("says which file to fetch by hand when the index lacks it", async () => {
    const folder = withoutPip();
    await expect(
      fetchWheel({ ...wheel, file: "nvidia_other-1-py3-none-any.whl" }, folder),
    ).rejects.toMatchObject({
      code: "download",
      fix: expect.stringContaining("https://pypi.org/project/nvidia-mock-cu12/12.5.1/#files"),
    });
    await expect(fetchWheel({ ...wheel, project: "unknown" }, folder)).rejects.toThrow(
      /answered 404/,
    );
  });

  it.skipIf(process.platform === "win32")(
    "asks pip for exactly this file, hash and tags",
    async () => {
      const folder = mkdtempSync(join(root, "pip-"));
      const bin = join(root, "bin");
      mkdirSync(bin, { recursive: true });
      const script = `#!/bin/sh
if [ "$1" != "-I" ]; then exit 9; fi
if [ "$4" = "--version" ]; then exit 0; fi
echo "$@" > ${folder}/parameters
cat ${folder}/${wheel.project}.txt > ${folder}/requirement
printf '%s' '${content}' > ${folder}/${wheel.file}
`;
      writeFileSync(join(bin, "python3"), script, { mode: 0o755 });
      process.env.PATH = `${bin}:${PATH}`;
      expect(await fetchWheel(wheel, folder)).toBe(join(folder, wheel.file));
      expect(readFileSync(join(folder, "requirement"), "utf8")).toBe(
        `nvidia-mock-cu12==12.5.1 --hash=sha256:${wheel.sha256}\n`,
      );
      const parameters = readFileSync(join(folder, "parameters"), "utf8");
      expect(parameters).toContain("--require-hashes");
      expect(parameters).toContain(
        "--abi none --implementation py --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64",
      );
    },
  );
});

describe.skipIf(spawnSync("python3", ["--version"]).status !== 0)("with a real Python", () => {
  it("runs no pip.py and no importlib of the working directory", async () => {
    const folder = mkdtempSync(join(root, "planted-"));
    for (const name of ["pip", "importlib", "site", "tensorflow"])
      writeFileSync(join(folder, `${name}.py`), `open("owned", "w").close()`);
    const before = process.cwd();
    process.chdir(folder);
    try {
      await fetchWheel({ ...wheel, project: "no-such-project-of-ours" }, folder).catch(() => {});
      await findTensorFlowOf("python3").catch(() => {});
      expect(existsSync(join(folder, "owned"))).toBe(false);
    } finally {
      process.chdir(before);
    }
  });
});

describe("checkSpace", () => {
  it("fails before the first byte", async () => {
    await expect(checkSpace([{ ...wheel, bytes: 1e15 }], root)).rejects.toThrow(
      /must have 4000000.0 GB free/,
    );
    await expect(checkSpace([wheel], root)).resolves.toBeUndefined();
  });
});

describe("pinnedReleases", () => {
  it("pins one TensorFlow for each machine, twelve CUDA wheels, and each file by one hash", () => {
    const hashes = new Map<string, string>();
    for (const { version, cpu, gpu } of pinnedReleases) {
      expect(cpu.x64.file).toContain(`tensorflow_cpu-${version}-cp311-cp311-manylinux`);
      expect(cpu.arm64.file).toMatch(new RegExp(`^tensorflow-${version}-.*aarch64\\.whl$`));
      expect(gpu.x64[0]?.file).toMatch(new RegExp(`^tensorflow-${version}-.*x86_64\\.whl$`));
      expect(gpu.x64.slice(1).map(({ project }) => project)).toHaveLength(12);
      for (const { file, sha256, project, version: release } of [cpu.x64, cpu.arm64, ...gpu.x64]) {
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(file.startsWith(`${project.replaceAll("-", "_")}-${release}-`)).toBe(true);
        expect(hashes.get(file) ?? sha256).toBe(sha256);
        hashes.set(file, sha256);
      }
    }
    expect(pinnedReleases.map(({ version }) => version)).toEqual([
      "2.16.2",
      "2.17.1",
      "2.18.1",
      "2.19.1",
      "2.20.0",
      "2.21.0",
    ]);
  });
});
