import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { decodeSafetensors } from "@dmae/checkpoint";
import { foldIn, key, uniform } from "@dmae/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolders } from "../temporary-folder.ts";

/** Kills of each kind: 300 in all. */
const KILLS = 60;

const scratch = temporaryFolders("kill-loop");
const root = fileURLToPath(new URL("../..", import.meta.url));
const program = fileURLToPath(new URL("work.ts", import.meta.url));

/** A file that comes in small pieces, with ranges and an ETag. */
const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * 31) % 251));
const server = createServer(async (request, response) => {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const range = { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  const head = { etag: '"one"', "content-length": bytes.length - start, ...(start > 0 && range) };
  response.writeHead(start > 0 ? 206 : 200, head);
  for (let at = start; at < bytes.length && !response.destroyed; at += 20_000) {
    response.write(bytes.subarray(at, at + 20_000));
    await sleep(5);
  }
  response.end();
});
let address: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
});
afterAll(() => server.closeAllConnections());

/** Runs the work; kills it `delay` milliseconds after it began. True where it was killed. */
async function run(
  kind: string,
  folder: string,
  delay = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const temporary = join(folder, "../tmp");
  mkdirSync(temporary, { recursive: true });
  const child = spawn(process.execPath, ["--import", "tsx", program, kind, folder, address], {
    cwd: root, // its tsconfig maps our packages to their sources
    env: { ...process.env, NODE_OPTIONS: "", TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  child.stdout.once("data", () => {
    if (delay < Number.POSITIVE_INFINITY) setTimeout(() => child.kill("SIGKILL"), delay);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...end) => resolve(end)),
  );
  if (signal !== "SIGKILL" && code !== 0) throw new Error(`${kind}: exit ${code}: ${errors}`);
  return signal === "SIGKILL";
}

/** What a folder holds, without the times that a log tells. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const entries = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .map((path) => [path.slice(folder.length + 1), digest(path)] as const);
  return Object.fromEntries(entries.filter(([name]) => !name.endsWith(".torn")).sort());
}

function digest(path: string): string {
  let content: string | Buffer = readFileSync(path);
  if (path.endsWith(".jsonl")) content = content.toString().replace(/"seconds":[\d.e-]+/g, "");
  if (path.endsWith(".tsv")) content = content.toString().replace(/\t\d+:\d\d:[\d.]+\t/g, "\t");
  return createHash("sha256").update(content).digest("hex");
}

test.each(["certification", "training", "download", "saving", "kernels"])(
  "%s ends with the same bits however often it is killed",
  async (kind) => {
    const straight = join(scratch(), "work");
    mkdirSync(straight);
    const started = performance.now();
    await run(kind, straight);
    const expected = contents(straight);
    const longest = Math.max(300, (performance.now() - started) / 2);
    const delays = uniform(foldIn(key("kill-loop"), kind), 20 * KILLS, { high: 1 });
    let [kills, rounds, tries] = [0, 0, 0];
    while (kills < KILLS) {
      const folder = join(scratch(), "work");
      mkdirSync(folder);
      // mostly early, so that a run dies many times before it ends
      while (await run(kind, folder, longest * delays[tries++]! ** 2)) {
        if (kind === "saving") decodeIfThere(join(folder, "state.safetensors"));
        if (++kills >= KILLS) break;
      }
      await run(kind, folder);
      expect(contents(folder)).toEqual(expected);
      rounds++;
    }
    console.log(`${kind}: ${kills} kills, ${rounds} runs that ended with the same bits`);
  },
);

/** A file that is there is whole, at any moment. */
function decodeIfThere(file: string): void {
  let found: Buffer;
  try {
    found = readFileSync(file);
  } catch {
    return;
  }
  decodeSafetensors(found);
}
