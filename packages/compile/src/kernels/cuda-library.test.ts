import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { findCCompiler, nativeSource } from "./c-compiler.ts";
import { buildForCard } from "./cuda-library.ts";
import { KernelLibrary } from "./library.ts";

const compiler = await findCCompiler();
const folder = temporaryFolders("cuda-library");

/** What the addon says of the card, in a process that finds this driver. */
async function askForCard(driver: string): Promise<string> {
  const addon = await compiler!.build("cuda", await nativeSource("cuda.c"));
  const program = `try { console.log(require(${JSON.stringify(addon)}).architecture()) } catch (error) { console.log(error.message) }`;
  const env = { ...process.env, LD_LIBRARY_PATH: driver };
  return spawnSync(process.execPath, ["-e", program], { env, encoding: "utf8" }).stdout.trim();
}

const hasDriver = compiler !== null && (await askForCard("")).startsWith("sm_");

it.skipIf(!compiler)("asks the driver for the architecture of the card", async () => {
  const standIn = fileURLToPath(
    new URL("../../../../testing/native/fake-driver.c", import.meta.url),
  );
  const driver = folder();
  execFileSync("cc", ["-shared", "-fPIC", "-w", "-o", join(driver, "libcuda.so.1"), standIn]);
  expect(await askForCard(driver)).toBe("sm_90");
});

it.skipIf(!compiler || hasDriver)("says what is missing on a machine without a card", async () => {
  const error = await failure(() => buildForCard(compiler!, new KernelLibrary()));
  expect(error.code).toBe("unsupported");
  expect(error.message).toMatch(
    /^kernels: no NVIDIA driver: libcuda\.so\.1: .*; run npx @dmae\/native doctor/,
  );
});
