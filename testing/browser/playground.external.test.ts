import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pretrained } from "@dmae/models";
import { createCertifier, image, verifyCertificate } from "@dmae/smoothing-certify";
import { certificateHtml } from "@dmae/smoothing-certify/report";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve } from "../../playground/serve.mjs";
import { findChromium, launch } from "./chromium.ts";

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dmae-playground-"));
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const executable = findChromium();
const phone = { viewport: { width: 360, height: 740 } };
const desktop = { viewport: { width: 1440, height: 900 } };
let browser: Browser;
let plain: Awaited<ReturnType<typeof serve>>;
let isolated: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  if (!executable) return;
  await promisify(execFile)(process.execPath, [path("playground/build.mjs"), "--out", folder]);
  plain = await serve(folder, { isolated: false });
  isolated = await serve(folder, { isolated: true });
  const camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  browser = await launch(executable, camera);
});

afterAll(async () => {
  await browser?.close();
  plain?.close();
  isolated?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A page that is ready to certify, what went wrong in it, and the bytes that it loaded. */
async function open(options: BrowserContextOptions, address = plain.address) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(180_000);
  const wrong: string[] = [];
  const loaded: { url: string; bytes: number }[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("response", async (response) => {
    const body = await response.body().catch(() => Buffer.alloc(0));
    loaded.push({ url: response.url(), bytes: body.length });
  });
  await page.goto(`${address}?seed=7`);
  await page.locator("#certify:enabled").waitFor();
  return { page, wrong, loaded, context };
}

async function certify(page: Page): Promise<string> {
  await page.locator("#certify").click();
  await page.locator("#certify:enabled").waitFor();
  return (await page.locator("#status").textContent()) ?? "";
}

/** Renews the pictures of the docs: `DMAE_SCREENSHOTS=docs/images npm run test:browser`. */
async function picture(page: Page, name: string): Promise<void> {
  const to = process.env.DMAE_SCREENSHOTS;
  if (to) await page.screenshot({ path: join(to, `playground-${name}.png`), fullPage: true });
}

const choose = (page: Page, name: string) => page.getByRole("radio", { name, exact: true }).check();

/** Test image `k` of the strip, as Node reads it. */
async function testImage(k: number) {
  const strip = await image(path("playground/images/test-images.png"), { channels: 1 });
  const data = new Float32Array(784);
  for (let i = 0; i < 784; i++) data[i] = strip.data[280 * Math.floor(i / 28) + 28 * k + (i % 28)]!;
  return { data, shape: [28, 28, 1] };
}

describe.skipIf(!executable)("the playground", () => {
  it("gives Node's votes and radius, and a certificate that Node verifies by drawing its noise again", async () => {
    const { page, wrong, loaded, context } = await open(desktop);
    await choose(page, "Shirt");
    const status = await certify(page);
    const votes = await page
      .locator("#votes tr")
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
    const x = await testImage(6);
    const classifier = await pretrained("fashion-mnist-cr-0.25");
    const certifier = await createCertifier(classifier, {
      sigma: 0.25,
      shape: x.shape,
      maxSamples: 1000,
    });
    const { counts, radius } = await certifier.certify(x, { seed: 7 });
    for (const [name, , count] of votes) {
      const here = counts[classifier.card.classNames.indexOf(name!)]!;
      expect(Math.abs(Number(count) - here), `${name}: ${count}, ${here}`).toBeLessThanOrEqual(1);
    }
    const shown = await page.locator("#r").textContent();
    expect(Math.abs(Number(shown) - radius)).toBeLessThan(0.01);
    expect(status).toContain(`no change shorter than ${shown}`);

    await page.locator("#invert").check();
    await certify(page);
    for (const [button, name] of [
      ["save", "certificate.json"],
      ["save-image", "image.png"],
    ] as const) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.locator(`#${button}`).click(),
      ]);
      await download.saveAs(join(folder, name));
    }
    const pixels = await image(join(folder, "image.png"), { channels: 1 });
    expect(pixels.data).toEqual(x.data.map((value) => (255 - Math.round(255 * value)) / 255));
    const certificate = await readFile(join(folder, "certificate.json"));
    const report = await verifyCertificate(certificate, { x: pixels, classifier });
    expect(report).toMatchObject({ isRecounted: true, certificate: { n: 1000 } });
    await classifier.dispose();
    const printed = await context.newPage();
    await printed.setContent(certificateHtml(report));
    const pdf = await printed.pdf({ preferCSSPageSize: true });
    expect(pdf.toString("latin1").match(/\/Type \/Page\b/g)).toHaveLength(1);

    expect(wrong).toEqual([]);
    expect(loaded.map(({ url }) => new URL(url).origin)).toEqual(
      loaded.map(() => new URL(plain.address).origin),
    );
    const own = loaded.filter(({ url }) => !/\/(ort|files)\//.test(url));
    const weight = own.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`page weight without runtime and model: ${(weight / 1000).toFixed(0)} kB`);
    expect(weight).toBeLessThan(300_000);
    expect(weight).toBeGreaterThan(50_000);
    await context.close();
  });

  it("stops early at a radius, and attacks along the gradient", async () => {
    const { page, wrong, context } = await open(desktop, isolated.address);
    await choose(page, "Shirt");
    await page.locator("#radius").fill("0.05");
    expect(await certify(page)).toMatch(/stopped early after \d{2,3} noisy copies/);
    await page.locator("#attack").click();
    await page.locator("#attack:enabled").waitFor();
    const found = await page.locator("#attacked").textContent();
    const [, distance = 0, certified = 0] =
      /^A change of ([\d.]+) makes it .+; the certified radius is ([\d.]+)\.$/.exec(found!) ?? [];
    expect(Number(distance), found!).toBeGreaterThan(Number(certified));
    await page.locator("#point").waitFor();
    await page.setViewportSize({ width: 1000, height: 900 });
    await picture(page, "attack");
    expect(wrong).toEqual([]);
    await context.close();
  });

  it("takes an .onnx file, a drawing, an upload and the camera; attacks along the votes", async () => {
    const { page, wrong, context } = await open({ ...desktop, permissions: ["camera"] });
    const shown = () =>
      page.locator("#preview").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    const first = await shown();
    await page.locator("#draw").click();
    const box = (await page.locator("#canvas").boundingBox())!;
    await page.mouse.move(box.x + 30, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + 80, box.y + 90, { steps: 4 });
    await page.mouse.up();
    await expect.poll(shown).not.toBe(first);
    const drawn = await shown();
    await page.locator("#upload").setInputFiles(path("playground/images/test-images.png"));
    await expect.poll(shown).not.toBe(drawn);
    const uploaded = await shown();
    await page.locator("#camera").click();
    await page.waitForFunction(() => {
      const root = document.querySelector("dmae-playground")!.shadowRoot!;
      return (root.getElementById("video") as HTMLVideoElement).videoWidth > 0;
    });
    await page.locator("#take").click();
    await expect.poll(shown).not.toBe(uploaded);
    const model = "packages/smoothing-certify/src/__fixtures__/preprocessing/first.onnx";
    await page.locator("#onnx").setInputFiles(path(model));
    await expect
      .poll(() => page.locator("#facts").textContent())
      .toBe("first.onnx: images of 4 x 4 x 3");
    await page.locator("#certify:enabled").waitFor();
    await page.locator("#sigma").fill("0.05");
    expect(await certify(page)).toMatch(/^class \d: no change shorter/);
    await page.locator("#attack").click();
    await page.locator("#attack:enabled").waitFor();
    expect(await page.locator("#attacked").textContent()).toMatch(
      /^A change of|^No change of class/,
    );
    await page.locator("#onnx").setInputFiles({
      ...{ name: "bad.onnx", mimeType: "", buffer: Buffer.from("nonsense") },
    });
    await expect
      .poll(() => page.locator("#facts").textContent())
      .toMatch(/cannot load bad.onnx.* \(first.onnx is still in use\)$/);
    expect(wrong).toEqual([]);
    await context.close();
  });

  for (const [name, options] of Object.entries({
    phone,
    desktop,
    dark: { ...phone, colorScheme: "dark" } as const,
  }))
    it(`fits the screen and breaks no rule of axe: ${name}`, async () => {
      const { page, wrong, context } = await open(options);
      await certify(page);
      await page.locator("#draw").click();
      await page.locator("details summary").click();
      const [width, screen] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        window.innerWidth,
      ]);
      expect(width).toBeLessThanOrEqual(screen!);
      await page.evaluate(await readFile(axe, "utf8"));
      const violations = await page.evaluate(async () => {
        const { run } = (
          globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          }
        ).axe;
        return (await run()).violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`,
        );
      });
      expect(violations).toEqual([]);
      if (name === "phone") await picture(page, name);
      expect(wrong).toEqual([]);
      await context.close();
    });

  it("can be used with the keyboard alone", async () => {
    const { page, context } = await open(desktop);
    const focused = () =>
      page.evaluate(() => {
        const active = document.querySelector("dmae-playground")!.shadowRoot!.activeElement;
        return active?.getAttribute("aria-label") ?? active?.id ?? "";
      });
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Ankle boot");
    await page.keyboard.press("ArrowLeft");
    expect(await focused()).toBe("Bag");
    await page.locator("#certify:enabled").waitFor();
    for (let i = 0; i < 30 && (await focused()) !== "certify"; i++)
      await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#certify:enabled").waitFor();
    await expect.poll(() => page.locator("#status").textContent()).toMatch(/^Bag: no change/);
    await context.close();
  });

  it("how long the first certificate takes, for the record", async () => {
    const context = await browser.newContext(desktop);
    const page = await context.newPage();
    const start = performance.now();
    await page.goto(plain.address);
    await page.locator("#certify:enabled").waitFor();
    const ready = performance.now();
    await certify(page);
    const end = performance.now();
    console.log(
      `ready after ${((ready - start) / 1000).toFixed(1)} s, n = 1,000 certified in ${((end - ready) / 1000).toFixed(1)} s more`,
    );
    expect(await page.locator("#status").textContent()).toContain("Ankle boot");
    await context.close();
  });
});
