// `npm start` on a card: a DMAE on Fashion-MNIST pre-trained, fine-tuned, certified and reported, by the quickstart itself.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const packed = fileURLToPath(new URL("quickstart.mjs", import.meta.url));
const source = fileURLToPath(new URL("../../examples/quickstart/src/main.ts", import.meta.url));

/** The quickstart as --pack bundled it, or in this repository. */
const program = () =>
  existsSync(packed) ? [packed] : [createRequire(source).resolve("tsx/cli"), source];

export async function start({ provider, toy, folder, signal, row }) {
  const backend = `compiled:${provider}`;
  const size = toy ? ["--smoke"] : ["--images", "100"];
  await row(`npm start -- --backend ${backend} ${size.join(" ")}`, async () => {
    const started = performance.now();
    const output = await run(
      [...program(), "--backend", backend, "--folder", `${folder}/start`, ...size],
      signal,
    );
    const result = /^.*DMAE, this run.*$/m.exec(output)?.[0].trim().replace(/\s+/g, " ");
    if (!result) throw new Error(`no row of this run in: ${output.slice(-300)}`);
    return { seconds: Math.round((performance.now() - started) / 1000), result };
  });
}

function run(args, signal) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], signal });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (errors = (errors + text).slice(-2000)));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`ended with ${code}: ${lastLine(errors)}`)),
    );
  });
}

/** Its progress comes before what went wrong. */
const lastLine = (text) => text.trim().split("\n").at(-1).slice(-300);
