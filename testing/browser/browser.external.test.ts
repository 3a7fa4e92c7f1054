import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose, largestDifference } from "../expect-close.ts";
import { bundle } from "./bundle.ts";
import * as checks from "./checks.ts";
import { findChromium, launch } from "./chromium.ts";
import { serve } from "./serve.ts";

const executable = findChromium();
if (!executable)
  console.log(
    "browser lane: no Chromium or Chrome found; install one or set CHROME_PATH. Skipped.",
  );

const folder = mkdtempSync(join(tmpdir(), "dmae-browser-"));
const require = createRequire(import.meta.url);
const folderOf = (module: string) => dirname(require.resolve(module));
const checkpoint = fileURLToPath(
  new URL("../../packages/checkpoint/src/__fixtures__/finetune-cls.pth", import.meta.url),
);
const steps = 4;
let browser: Browser;
let page: Page;
let server: Awaited<ReturnType<typeof serve>>;
/** Some steps in Node, eagerly on the cpu backend. */
let begun: Awaited<ReturnType<typeof checks.train>>;

type Checks = typeof checks;
/** Calls a check in the page. */
const inPage = <K extends keyof Checks>(
  name: K,
  ...args: Parameters<Checks[K]>
): Promise<Awaited<ReturnType<Checks[K]>>> =>
  page.evaluate(
    ([name, args]) =>
      (globalThis as unknown as { checks: Record<string, (...args: unknown[]) => never> }).checks[
        name as string
      ]!(...(args as unknown[])),
    [name, args] as const,
  );

beforeAll(async () => {
  if (!executable) return;
  await bundle({ file: "page.ts" }, folder);
  copyFileSync(checkpoint, join(folder, "checkpoint.pth"));
  begun = await checks.train({ backend: "cpu" }, steps);
  const { params } = await checks.train({}, 60);
  writeFileSync(join(folder, "model.onnx"), checks.onnxFile(params));
  server = await serve([
    folder,
    folderOf("onnxruntime-web"),
    folderOf("@tensorflow/tfjs-backend-wasm"),
  ]);
  browser = await launch(executable);
  page = await browser.newPage();
  page.on("console", (message) => console.log(`[page] ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`[page] ${error}`));
  await page.goto(server.address);
  await page.waitForFunction("globalThis.checks");
  const { adapter } = await inPage("surroundings");
  console.log(`Chromium ${browser.version()}, WebGPU ${adapter ?? "missing"}`);
});

afterAll(async () => {
  await browser?.close();
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(!executable)("in a Chromium, as in Node", () => {
  it("threads and shared memory are allowed", async () => {
    expect(await inPage("surroundings")).toMatchObject({ crossOriginIsolated: true });
  });

  const places = [
    { provider: "wasm", threads: 2 },
    { provider: "webgpu" },
    { backend: "cpu" },
    { backend: "wasm" },
    { backend: "webgpu" },
  ] as const;
  for (const where of places) {
    const name = Object.entries(where).flat().join(" ");

    it(`${name}: logits`, async () => {
      const want = await checks.logits({ backend: "cpu" });
      expect(
        largestDifference(
          want,
          want.map(() => 0),
        ),
      ).toBeGreaterThan(0.1);
      expectClose(await inPage("logits", where), want, { absolute: 1e-5 });
    });

    it(`${name}: training steps, gradients and AdamW included`, async () => {
      const { losses, params, keptOnCard, leaked } = await inPage("train", where, steps);
      expectClose(losses, begun.losses, { relative: 1e-4 });
      for (const [key, { data }] of Object.entries(params))
        expectClose(data, begun.params[key]!.data, { absolute: 1e-4 });
      expect(leaked).toBe(0);
      if ("provider" in where && where.provider === "webgpu") expect(keptOnCard).toBe(true);
    });
  }

  for (const [name, options] of [
    ["fetched", {}],
    ["a Blob", { blob: true }],
    ["on webgpu", { webgpu: true, images: 1 }],
  ] as const)
    it(`an .onnx file trained in Node is certified: ${name}`, async () => {
      const want = await checks.certifyFile(join(folder, "model.onnx"));
      expect(want.map(({ prediction }) => prediction)).toEqual([0, 1, 2, 3]);
      const got = await inPage("certifyFile", "/model.onnx", options);
      // Votes are of the same noise; a logit's last bit may turn one whose two best classes are equal.
      for (const [i, { prediction, counts, radius }] of got.entries()) {
        expect(prediction).toBe(want[i]!.prediction);
        expectClose(counts, want[i]!.counts, { absolute: 1 });
        expectClose([radius], [want[i]!.radius], { absolute: 0.01 });
      }
    });

  it("a PyTorch checkpoint is read by address and from a Blob", async () => {
    const want = await checks.readCheckpoint(pathToFileURL(checkpoint));
    expect(Object.keys(want).length).toBeGreaterThan(10);
    expect(await inPage("readCheckpoint", `${server.address}checkpoint.pth`)).toEqual(want);
    expect(await inPage("readCheckpoint", "/checkpoint.pth", { blob: true })).toEqual(want);
  });

  it("the fastest backend is chosen among those that browsers have", async () => {
    expect(await inPage("chosenBackend")).toMatch(/^(wasm|webgpu): .*cpu: [\d.]+ ms/);
  });

  it("how fast a compiled network is, for the record", async () => {
    const places = [{ provider: "wasm", threads: 2 }, { backend: "wasm" }] as const;
    const ratios: number[] = [];
    for (let round = 0; round < 3; round++) {
      const [compiled = 0, eager = 0] = [
        await inPage("speed", places[0]),
        await inPage("speed", places[1]),
      ];
      ratios.push(compiled / eager);
      console.log(`images/s: compiled ${compiled.toFixed(1)}, eager wasm ${eager.toFixed(1)}`);
    }
    const [, ratio = 0] = ratios.sort((a, b) => a - b);
    console.log(`compiled : eager wasm, the middle of three rounds: ${ratio.toFixed(2)}`);
    expect(ratio).toBeGreaterThan(0);
  });

  it("what a browser cannot do is refused, and the page goes on", async () => {
    const told = await inPage("refusals");
    expect(told.map((message) => message.split(":")[0])).toEqual([
      "file",
      "file",
      "unsupported",
      "unsupported",
      "unsupported",
      "unsupported",
    ]);
    expect(told[1]).toContain("cannot load /nowhere.onnx: HTTP 404");
    expect(told[4]).toBe("unsupported: readLog: files need Node; this is a browser");
    expectClose(await inPage("logits", {}), await checks.logits({}), { absolute: 1e-5 });
  });
});
