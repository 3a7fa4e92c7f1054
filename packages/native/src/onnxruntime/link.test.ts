import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../cli.ts";
import { doctor } from "../doctor.ts";
import { readSharedLibrary } from "../elf.ts";
import {
  buildCudaSite,
  buildProviders,
  installMockOnnxRuntime,
  writePython,
} from "../testing/mock-onnxruntime.ts";
import { hasCompiler } from "../testing/mock-tensorflow.ts";
import { linkOnnxRuntime } from "./link.ts";
import { unlinkOnnxRuntime } from "./unlink.ts";

const root = mkdtempSync(join(tmpdir(), "dmae-native-ort-"));
const site = join(root, "site-packages");
const providers = join(root, "providers");
const provider = "libonnxruntime_providers_cuda.so";
let python = "";
let count = 0;

const canRun = hasCompiler && process.arch === "x64";

beforeAll(() => {
  if (!canRun) return;
  buildProviders(providers, buildCudaSite(site));
  python = writePython(site);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A new project with the mock package. */
function newProject(complaint = "") {
  const project = join(root, `project-${count++}`);
  const folder = installMockOnnxRuntime(project, "1.30.0", complaint);
  return { project, folder, link: { project, gpu: true, python, providers } };
}

describe.skipIf(!canRun)("link onnxruntime, doctor, unlink on a mock", () => {
  it("makes the provider find its CUDA libraries with no LD_LIBRARY_PATH, and undoes it", async () => {
    const { project, folder, link } = newProject();
    const linked = await linkOnnxRuntime(link);
    expect(linked).toEqual({
      status: "linked",
      folder,
      version: "1.30.0",
      cuda: [join(site, "nvidia/cu13/lib")],
      warnings: [], // the mock loaded the provider, which needs libcublas and libcudart
    });
    const library = (await readSharedLibrary(join(folder, provider), "x"))!;
    expect(library.runpath).toEqual(["$ORIGIN"]);
    expect(library.needed).toEqual(expect.arrayContaining(["libcublas.so.13", "libcudart.so.13"]));
    expect(library.needed).not.toContain("librt.so.1");
    const { checks } = await doctor({ project });
    const besides = checks.filter(({ name }) => name !== "driver"); // which depends on this machine
    expect(besides.map(({ name, status }) => [name, status])).toEqual([
      ["platform", "ok"],
      ["node", "ok"],
      ["onnxruntime", "ok"],
      ["session", "ok"],
      ["provider", "ok"],
      ["cuda", "ok"],
    ]);
    expect(await unlinkOnnxRuntime({ project })).toEqual({ status: "unlinked", folder });
    expect(readdirSync(folder)).toEqual([]);
    expect((await unlinkOnnxRuntime({ project })).status).toBe("absent");
  });

  it("takes CUDA libraries that lie beside the provider first", async () => {
    const { folder, link } = newProject();
    const own = join(root, "own");
    cpSync(providers, own, { recursive: true });
    writeFileSync(join(own, "libnvrtc.so.13"), "");
    const { cuda } = await linkOnnxRuntime({ ...link, providers: own });
    expect(cuda).toEqual([own, join(site, "nvidia/cu13/lib")]);
    expect(readlinkSync(join(folder, "libnvrtc.so.13"))).toBe(join(own, "libnvrtc.so.13"));
  });

  it("changes nothing the second time, and repairs what was changed", async () => {
    const { project, folder, link } = newProject();
    await linkOnnxRuntime(link);
    const { ino } = statSync(join(folder, provider));
    expect((await linkOnnxRuntime(link)).status).toBe("unchanged");
    expect(statSync(join(folder, provider)).ino).toBe(ino);
    writeFileSync(join(folder, provider), "other bytes");
    const { checks } = await doctor({ project });
    expect(checks.find(({ name }) => name === "provider")).toEqual({
      name: "provider",
      status: "failure",
      found: `${provider} was changed`,
      fix: "npx @dmae/native link onnxruntime --gpu",
    });
    expect((await linkOnnxRuntime(link)).status).toBe("linked");
    expect((await linkOnnxRuntime({ ...link, force: true })).status).toBe("linked");
    expect(readdirSync(folder).filter((name) => name.includes("original"))).toEqual([]);
  });

  it("keeps a provider of npm's installer beside its own and restores it", async () => {
    const { project, folder, link } = newProject();
    writeFileSync(join(folder, provider), "CUDA 12, from NuGet");
    await linkOnnxRuntime(link);
    await linkOnnxRuntime({ ...link, force: true });
    await unlinkOnnxRuntime({ project });
    expect(readFileSync(join(folder, provider), "utf8")).toBe("CUDA 12, from NuGet");
    expect(readdirSync(folder)).toEqual([provider]);
  });

  it("undoes a link that was killed between two renames", async () => {
    const { project, folder, link } = newProject();
    await linkOnnxRuntime(link);
    rmSync(join(folder, provider));
    rmSync(join(folder, "libcudnn.so.9"));
    expect((await linkOnnxRuntime(link)).status).toBe("linked");
    expect(lstatSync(join(folder, "libcudnn.so.9")).isSymbolicLink()).toBe(true);
    rmSync(join(folder, provider));
    await unlinkOnnxRuntime({ project });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("says what is missing before anything changes", async () => {
    const { project, folder, link } = newProject();
    const poor = join(root, "poor/site-packages");
    buildCudaSite(poor, ["libcudnn.so.9"]);
    await expect(linkOnnxRuntime({ ...link, python: writePython(poor) })).rejects.toMatchObject({
      code: "cuda",
      message: expect.stringMatching(/must include libcudnn\.so\.9, .*leave --python out/),
    });
    await expect(linkOnnxRuntime({ ...link, providers: root })).rejects.toThrow(
      /lacks libonnxruntime_providers_cuda\.so/,
    );
    await expect(linkOnnxRuntime({ project })).rejects.toThrow(/only for CUDA; add --gpu/);
    expect(readdirSync(folder)).toEqual([]);
    installMockOnnxRuntime(project, "1.29.0");
    await expect(linkOnnxRuntime(link)).rejects.toThrow(/must be 1\.30\.0, .*got 1\.29\.0/);
    await expect(linkOnnxRuntime({ ...link, project: root })).rejects.toThrow(
      /npm install --ignore-scripts onnxruntime-node@1\.30\.0/,
    );
  });

  it.each([
    ["libcuda.so.1: cannot open shared object file", "no NVIDIA driver", /driver 580/],
    ["CUDA failure 35: CUDA driver version is insufficient", "too old for CUDA 13", /driver 580/],
    ["CUDA failure 2: out of memory ; GPU=0", "another process holds", /nvidia-smi/],
    [
      "CUDA failure 802: system not yet initialized ; GPU=0",
      "fabric manager",
      /nvidia-fabricmanager/,
    ],
    ["CUDA failure 999: unknown error ; GPU=0", "does not answer", /restart/],
    ["libcufft.so.12: cannot open shared object file", "missing: libcufft.so.12", /--force/],
    [
      "CUDA failure 801: operation not supported ; GPU=-1",
      "^CUDA failure 801: .*supported$",
      /--force/,
    ],
  ])("reads %s", async (complaint, problem, fix) => {
    const { project, link } = newProject(complaint);
    const { warnings } = await linkOnnxRuntime(link);
    expect(warnings[0]).toMatch(/^no session on the card yet: /);
    const { checks } = await doctor({ project });
    const cuda = checks.find(({ name }) => name === "cuda")!;
    expect(cuda.found).toMatch(new RegExp(problem));
    expect(cuda.fix).toMatch(fix);
  });

  it("speaks as a command", async () => {
    const { project, folder } = newProject();
    const run = async (...parameters: string[]) => {
      const out: string[] = [];
      const print = (text: string) => void out.push(text);
      const status = await main([...parameters, "--project", project], print, print);
      return { status, out: out.join("\n") };
    };
    const from = ["--python", python, "--providers", providers];
    expect((await run("link", "onnxruntime", "--gpu", ...from)).out).toContain(
      `${folder}: linked the CUDA 13 provider of ONNX Runtime 1.30.0`,
    );
    expect((await run("link", "onnxruntime", "--gpu", ...from)).out).toContain("already linked");
    expect(JSON.parse((await run("doctor", "--json")).out).facts.onnxruntime.cpu.product).toEqual([
      4, 9,
    ]);
    expect((await run("unlink", "onnxruntime")).out).toBe(`${folder}: removed`);
    expect(existsSync(join(folder, provider))).toBe(false);
    expect((await run("link", "onnxruntime")).status).toBe(1);
    expect((await run("link", "onnxruntime", "--gpu", "--wheel", "x")).out).toContain(
      'unknown option "wheel"',
    );
    expect((await run("link")).status).toBe(2);
  });
});
