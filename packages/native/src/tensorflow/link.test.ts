import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
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
  buildCudaLibrary,
  buildTensorFlow,
  hasCompiler,
  installMockPackage,
  type MockOptions,
  packWheel,
} from "../testing/mock-tensorflow.ts";
import { readManifest } from "./addon.ts";
import { linkTensorFlow as link } from "./link.ts";
import { requiredSymbols } from "./symbols.ts";
import { unlinkTensorFlow as unlink } from "./unlink.ts";

if (!hasCompiler) console.log("native: no g++ on Linux here, the tests that link are skipped");

const root = mkdtempSync(join(tmpdir(), "dmae-native-test-"));
const cache = join(root, "cache");
let wheel = "";
let count = 0;

beforeAll(() => {
  if (!hasCompiler) return;
  const site = join(root, "site");
  buildTensorFlow(site);
  wheel = join(root, "tensorflow_cpu-2.18.1-mock-none-linux_x86_64.whl");
  packWheel(site, wheel);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A new project with the mock package. */
function newProject(): { project: string; addon: string } {
  const project = join(root, `project-${count++}`);
  return { project, addon: join(installMockPackage(project), "lib/napi-v8/tfjs_binding.node") };
}

/** A `python` that knows one thing: where TensorFlow lies. */
function pythonOf(options: MockOptions): { python: string; site: string } {
  const site = join(root, `site-${count++}`);
  const python = join(site, "bin", "python");
  mkdirSync(join(site, "bin"), { recursive: true });
  writeFileSync(python, `#!/bin/sh\necho ${buildTensorFlow(site, options)}\n`, { mode: 0o755 });
  return { python, site };
}

const require_ = (project: string) =>
  execFileSync(
    process.execPath,
    ["-p", "const tf = require('@tensorflow/tfjs-node'); tf.backend().binding.TF_Version"],
    { cwd: project, encoding: "utf8" },
  ).trim();

describe.skipIf(!hasCompiler)("link, doctor, unlink on a mock TensorFlow", () => {
  it("makes the package load the wheel's TensorFlow, says so, and takes it back", async () => {
    const { project, addon } = newProject();
    const before = await doctor({ project });
    expect(before.ok).toBe(false);
    expect(before.checks.find(({ name }) => name === "addon")).toEqual({
      name: "addon",
      status: "failure",
      found: "none",
      fix: "npx @dmae/native link tensorflow",
    });

    const linked = await link({ project, wheels: [wheel], cache });
    expect(linked.status).toBe("linked");
    expect(linked.tensorflow.version).toBe("2.18.1");
    expect(require_(project)).toBe("2.18.1");

    const after = await doctor({ project });
    expect(after.checks.filter(({ status }) => status === "failure")).toEqual([]);
    expect(after.checks.find(({ name }) => name === "load")?.found).toBe(
      "TensorFlow 2.18.1 multiplies on the CPU",
    );

    expect(await unlink({ project })).toEqual({ status: "unlinked", addon });
    expect(existsSync(addon)).toBe(false);
    expect(await unlink({ project })).toEqual({ status: "absent", addon });
  });

  it("changes nothing the second time, compiles again when sources change or force is given", async () => {
    const { project, addon } = newProject();
    await link({ project, wheels: [wheel], cache });
    const first = statSync(addon);
    expect((await link({ project, wheels: [wheel], cache })).status).toBe("unchanged");
    expect(statSync(addon).ino).toBe(first.ino);
    expect((await link({ project, wheels: [wheel], cache, force: true })).status).toBe("linked");
    const source = join(project, "node_modules/@tensorflow/tfjs-node/binding/tfjs_backend.cc");
    writeFileSync(source, `${readFileSync(source, "utf8")}// newer\n`);
    expect((await doctor({ project })).checks.find(({ name }) => name === "addon")?.status).toBe(
      "warning",
    );
    expect((await link({ project, wheels: [wheel], cache })).status).toBe("linked");
  });

  it("unpacks of the wheel only what it needs, once, and again when a file is damaged", async () => {
    const { project } = newProject();
    await link({ project, wheels: [wheel], cache });
    const [folder] = readdirSync(cache);
    expect(readdirSync(cache)).toHaveLength(1);
    const site = join(cache, folder!, "site");
    expect(existsSync(join(site, "tensorflow/include/tensorflow/c/types.h"))).toBe(true); // included by c_api.h
    expect(existsSync(join(site, "tensorflow/include/tensorflow/c/unused.h"))).toBe(false);
    const library = join(site, "tensorflow/libtensorflow_framework.so.2");
    const intact = readFileSync(library);
    const changed = Buffer.from(intact);
    changed[changed.length >> 1]! ^= 1; // of the same length
    writeFileSync(library, changed);
    await link({ project, wheels: [wheel], cache });
    expect(readFileSync(library).equals(intact)).toBe(true);
    writeFileSync(library, intact.subarray(0, 100));
    mkdirSync(join(cache, "partial-999999999-left"));
    await link({ project, wheels: [wheel], cache });
    expect(readFileSync(library).equals(intact)).toBe(true);
    expect(readdirSync(cache)).toEqual([folder]);
  });

  it("keeps an addon of others beside its own and puts it back", async () => {
    const { project, addon } = newProject();
    mkdirSync(join(addon, ".."), { recursive: true });
    writeFileSync(addon, "the addon that was shipped");
    await expect(unlink({ project })).rejects.toThrow(/was not put there by link/);
    const { checks } = await doctor({ project });
    expect(checks.find(({ name }) => name === "addon")?.fix).toBe(
      "npx @dmae/native link tensorflow",
    );
    await link({ project, wheels: [wheel], cache });
    await link({ project, wheels: [wheel], cache, force: true });
    await unlink({ project });
    expect(readFileSync(addon, "utf8")).toBe("the addon that was shipped");
    expect(readdirSync(join(addon, ".."))).toEqual(["tfjs_binding.node"]);
  });

  it("uses the TensorFlow of a Python where it lies", async () => {
    const { project, addon } = newProject();
    const { python, site } = pythonOf({ version: "2.20.0" });
    const { tensorflow } = await link({ project, python });
    expect(tensorflow).toMatchObject({
      version: "2.20.0",
      build: "cpu",
      folder: join(site, "tensorflow"),
    });
    expect(await readManifest(addon)).toMatchObject({
      tensorflow: "2.20.0",
      folder: join(site, "tensorflow"),
    });
    await expect(link({ project, python: site, gpu: true })).rejects.toThrow(
      /gpu needs a CUDA build/,
    );
    rmSync(join(site, "tensorflow"), { recursive: true });
    const { checks } = await doctor({ project });
    expect(checks.find(({ name }) => name === "tensorflow")?.status).toBe("failure");
    expect(checks.find(({ name }) => name === "load")?.found).toMatch(/libtensorflow_cc/);
  });

  it("leaves the addon in place when the next one cannot be linked or loaded", async () => {
    const { project, addon } = newProject();
    await link({ project, wheels: [wheel], cache });
    const before = readFileSync(addon);
    const lacking = pythonOf({ lacks: "TFE_OpSetAttrShape" });
    await expect(link({ project, python: lacking.python })).rejects.toMatchObject({
      code: "tensorflow",
      message: expect.stringContaining("lacks TFE_OpSetAttrShape"),
    });
    const disguised = pythonOf({ version: "2.19.1", libraryVersion: "2.9.1" });
    await expect(link({ project, python: disguised.python })).rejects.toMatchObject({
      code: "load",
      message: expect.stringContaining("must load TensorFlow 2.19.1, got 2.9.1"),
    });
    const source = join(project, "node_modules/@tensorflow/tfjs-node/binding/tfjs_binding.cc");
    writeFileSync(source, "#error not C++\n");
    await expect(link({ project, wheels: [wheel], cache })).rejects.toMatchObject({
      code: "compiler",
    });
    expect(readFileSync(addon).equals(before)).toBe(true);
    expect(readdirSync(join(addon, ".."))).toEqual(["tfjs_binding.node"]);
  });

  it("finds the CUDA libraries where TensorFlow looks, and names the missing ones", async () => {
    const { project } = newProject();
    const { python, site } = pythonOf({ cuda: true });
    const { warnings, tensorflow } = await link({ project, python, gpu: true });
    expect(tensorflow.cuda).toEqual({
      cuda: "12.5.1",
      cudnn: "9",
      computeCapabilities: ["sm_60", "sm_80", "compute_90"],
    });
    expect(warnings.map((line) => line.split(" ")[0])).toEqual([
      "libcublas.so.12",
      "libcublasLt.so.12",
      "libcudnn.so.9",
    ]);
    buildCudaLibrary(site, "cudnn", "libcudnn.so.9", "9.3.0.75");
    buildCudaLibrary(site, "cublas", "libcublas.so.12", "12.5.3.2");
    buildCudaLibrary(site, "cublas", "libcublasLt.so.12", "12.5.3.2");
    const { facts, checks } = await doctor({ project });
    expect(facts.libraries).toContainEqual({
      name: "libcudnn.so.9",
      path: join(site, "nvidia/cudnn/lib/libcudnn.so.9"),
      release: "9.3.0.75",
    });
    expect(checks.find(({ name }) => name === "libraries")?.status).toBe("ok");
  });

  it("reads from a library what nm would say", async () => {
    const { site } = pythonOf({});
    const library = (await readSharedLibrary(
      join(site, "tensorflow/libtensorflow_cc.so.2"),
      "TF",
    ))!;
    expect([...library.defines].sort()).toEqual([...requiredSymbols].sort());
    expect(library.machine).toBe(process.arch);
    expect(library.needed).toContain("libtensorflow_framework.so.2");
    expect(library.runpath).toContain("$ORIGIN/../nvidia/cudnn/lib");
    expect(await readSharedLibrary(wheel, "TF")).toBeUndefined();
  });

  it("refuses a wheel that is none, lacks TensorFlow or comes alone with CUDA libraries", async () => {
    const { project } = newProject();
    const broken = join(root, "tensorflow_cpu-2.17.1-broken.whl");
    writeFileSync(broken, readFileSync(wheel).subarray(0, 1000));
    await expect(link({ project, wheels: [broken], cache })).rejects.toThrow(
      /cannot read .* as a wheel/,
    );
    const other = join(root, "nvidia_cudnn_cu12-9.whl");
    await expect(link({ project, wheels: [other], cache })).rejects.toThrow(
      /must name one wheel of TensorFlow/,
    );
    await expect(
      link({ project, wheels: [join(root, "tensorflow-0.whl")], cache }),
    ).rejects.toThrow(/must name a file/);
    const pinned = join(
      root,
      "tensorflow_cpu-2.17.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    );
    writeFileSync(pinned, "not the published file");
    await expect(link({ project, wheels: [pinned], cache })).rejects.toMatchObject({
      code: "download",
    });
    expect(readdirSync(cache).filter((name) => name.startsWith("partial"))).toEqual([]);
  });

  it("speaks as a command", async () => {
    const { project, addon } = newProject();
    const run = async (...parameters: string[]) => {
      const out: string[] = [];
      const log: string[] = [];
      const status = await main(
        [...parameters, "--project", project],
        (text) => out.push(text),
        (text) => log.push(text),
      );
      return { status, out: out.join("\n"), log: log.join("\n") };
    };
    expect(await run("link", "tensorflow", "--wheel", wheel, "--cache", cache)).toMatchObject({
      status: 0,
      out: `${addon}: linked to TensorFlow 2.18.1 (cpu)`,
      log: expect.stringContaining("compiling with g++"),
    });
    expect((await run("link", "tensorflow", "--wheel", wheel, "--cache", cache)).out).toContain(
      "already linked",
    );
    const { status, out } = await run("doctor", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out).facts.loaded.product).toEqual([19, 22, 43, 50]);
    expect((await run("doctor")).out).toMatch(
      /^ok {4}load +TensorFlow 2.18.1 multiplies on the CPU$/m,
    );
    expect((await run("unlink", "tensorflow")).out).toBe(`${addon}: removed`);
    expect((await run("doctor")).status).toBe(1);
    expect(
      await run("link", "tensorflow", "--tensorflow", "1.15.0", "--cache", cache),
    ).toMatchObject({
      status: 1,
      log: expect.stringContaining("must be one of 2.16.2, 2.17.1"),
    });
    expect(
      await run("link", "tensorflow", "--tensorflow", "2.18.1", "--wheel", wheel),
    ).toMatchObject({
      status: 1,
    });
    expect((await run("links")).status).toBe(2);
    expect((await run("--nonsense")).status).toBe(1);
    expect((await run("--help")).status).toBe(0);
  });
});

describe.skipIf(!hasCompiler)("the installed package", () => {
  it("must be there, and of the release whose sources are known", async () => {
    const project = join(root, `project-${count++}`);
    await expect(link({ project })).rejects.toThrow(
      /npm install --ignore-scripts @tensorflow\/tfjs-node@4.22.0/,
    );
    installMockPackage(project, "4.21.0");
    await expect(link({ project })).rejects.toThrow(/must be 4.22.0, got 4.21.0/);
  });

  it("asks for a compiler by the distribution's command, before anything is fetched", async () => {
    const { project } = newProject();
    const { CXX } = process.env;
    process.env.CXX = "no-such-compiler";
    try {
      await expect(link({ project, cache: join(root, "untouched") })).rejects.toMatchObject({
        code: "compiler",
      });
    } finally {
      if (CXX === undefined) delete process.env.CXX;
      else process.env.CXX = CXX;
    }
    expect(existsSync(join(root, "untouched"))).toBe(false);
  });
});

// The line in the fast lane's report that names the other lane: 230 MB from the package index, minutes.
it.skip("on the real TensorFlow: pnpm test:native", () => {});
