// Packs every package, installs the tarballs with plain npm in an empty project, and uses them there:
// what a user gets is what is tested. `smoothing-certify` is also tried alone, without TensorFlow.js, on Node, Bun and Deno.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dmae-install-"));
const run = (command, args, cwd) =>
  execFileSync(command, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    shell: process.platform === "win32" && command !== process.execPath,
  });

/** The manifest of a package in the folder `directory`. */
const manifestOf = (directory) =>
  JSON.parse(readFileSync(join(root, "packages", directory, "package.json"), "utf8"));

/** What can be imported of a package, subpaths included, but for those that take effect by being imported. */
const entriesOf = ({ name, exports }) =>
  Object.keys(exports)
    .filter((path) => exports[path].types && path !== "./register")
    .map((path) => name + path.slice(1));

/** Name of a package -> its packed file. */
const pack = () => {
  const tarballs = {};
  for (const directory of readdirSync(join(root, "packages"))) {
    const { name } = manifestOf(directory);
    const packed = run(
      "npx",
      ["pnpm", "pack", "--json", "--pack-destination", folder],
      join(root, "packages", directory),
    );
    tarballs[name] = JSON.parse(packed.slice(packed.indexOf("{"))).filename;
  }
  return tarballs;
};

/** An npm project of its own with some of the tarballs; npm finds the others through `overrides`. */
const project = (label, tarballs, names, others) => {
  const directory = join(folder, label);
  mkdirSync(directory);
  const files = Object.fromEntries(
    Object.entries(tarballs).map(([name, file]) => [name, `file:${file}`]),
  );
  writeFileSync(
    join(directory, "package.json"),
    JSON.stringify({
      private: true,
      type: "module",
      dependencies: {
        ...Object.fromEntries(names.map((name) => [name, files[name]])),
        ...others,
      },
      overrides: Object.fromEntries(
        Object.entries(files).filter(([name]) => !names.includes(name)),
      ),
    }),
  );
  run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], directory);
  return directory;
};

const execute = (directory, file, code) => {
  writeFileSync(join(directory, file), code);
  return run(process.execPath, [file], directory).trim();
};

try {
  const tarballs = pack();

  const runtimes = { bun: "1.4.5", deno: "2.9.6" };
  const alone = project("alone", tarballs, ["@dmae/smoothing-certify"], runtimes);
  if (existsSync(join(alone, "node_modules/@tensorflow")))
    throw new Error("TensorFlow.js came along");
  console.log(
    execute(
      alone,
      "main.mjs",
      `import { certify } from "@dmae/smoothing-certify";
const brighter = (pixels, [n]) => Int32Array.from({ length: n }, (_, i) => +(pixels[i] > 0.5));
const { prediction, radius } = await certify(brighter, Float32Array.of(0.9), { sigma: 0.25, n0: 100, n: 1000, alpha: 0.001, numClasses: 2, seed: 1 });
// The exact radius of this classifier is 0.4; a certificate may not exceed it.
if (prediction !== 1 || !(radius > 0.3 && radius <= 0.4)) throw new Error("wrong certificate: " + prediction + " " + radius);
console.log("smoothing-certify alone: class", prediction, "radius", radius.toFixed(4));`,
    ),
  );
  const command = "node_modules/@dmae/smoothing-certify/bin/smoothing-certify.js";
  // Deno asks for no permission to certify; the command reads files.
  for (const [runtime, ...options] of [["bun"], ["deno", "run", "--no-prompt"]]) {
    console.log(`${runtime}: ${run("npx", [runtime, ...options, "main.mjs"], alone).trim()}`);
    const all = runtime === "deno" ? ["--allow-all"] : [];
    const help = run("npx", [runtime, ...options, ...all, command, "--help"], alone);
    if (!help.startsWith("smoothing-certify COMMAND"))
      throw new Error(`${runtime}: the command said ${help}`);
  }

  const names = Object.keys(tarballs).filter((name) => name !== "@dmae/fashion-mnist");
  const entries = readdirSync(join(root, "packages"))
    .map(manifestOf)
    .filter(({ name }) => names.includes(name))
    .flatMap(entriesOf);
  const together = project("together", tarballs, names, {
    "@tensorflow/tfjs-core": "4.22.0",
    "@tensorflow/tfjs-backend-cpu": "4.22.0",
  });
  console.log(
    execute(
      together,
      "main.mjs",
      `${entries.map((name, i) => `import * as p${i} from "${name}";`).join("\n")}
import { selectBackend, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
await selectBackend("cpu");
const { loss, gradients } = valueAndGradients(({ w }) => ({ loss: tf.sum(tf.square(w)) }), { w: tf.tensor1d([1, 2]) });
if (loss.dataSync()[0] !== 5 || gradients.w.dataSync()[1] !== 4) throw new Error("wrong gradient");
for (const [name, module] of Object.entries({ ${entries.map((name, i) => `"${name}": p${i}`).join(", ")} }))
  if (Object.keys(module).length === 0) throw new Error(name + " exports nothing");
console.log("all packages and their subpaths: import, gradients");`,
    ),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
