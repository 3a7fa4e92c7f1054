// An app with @dmae/smoothing-certify alone must build with each bundler and run: packs the package and what it needs, and
// installs them beside webpack, Vite, esbuild and Next in a temporary folder (network). The app itself runs on Node 20 and 22.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dmae-bundlers-"));
const run = (command, options, cwd = folder) =>
  execFileSync(command, options, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
    shell: process.platform === "win32",
  });

const pack = (name) => {
  const packed = run(
    "npx",
    ["pnpm", "pack", "--json", "--pack-destination", folder],
    join(root, "packages", name),
  );
  return `file:${JSON.parse(packed.slice(packed.indexOf("{"))).filename}`;
};

const certified = `import { certify } from "@dmae/smoothing-certify";
const brighter = (pixels, [n]) => Int32Array.from({ length: n }, (_, i) => +(pixels[i] > 0.5));
const options = { sigma: 0.25, n: 1000, numClasses: 2, seed: 1 };
const certificate = () => certify(brighter, Float32Array.of(0.9), options);
`;

const app = `${certified}
certificate().then(({ prediction }) => console.log("class", prediction));
`;

/** A page that certifies in the browser, and an answer that Next computes while it builds. */
const nextApp = {
  "layout.jsx": `export default ({ children }) => <html lang="en"><body>{children}</body></html>;`,
  "page.jsx": `"use client";
import { useState } from "react";
${certified}
export default function Page() {
  const [text, setText] = useState("certify");
  const show = () => certificate().then(({ prediction }) => setText("class " + prediction));
  return <button onClick={show}>{text}</button>;
}`,
  "certified/route.js": `${certified}
export const dynamic = "force-static";
export const GET = async () => new Response("class " + (await certificate()).prediction);
`,
};

/** Builds the Next app with Turbopack; what its route answers. */
function buildWithNext() {
  for (const [file, text] of Object.entries(nextApp)) {
    mkdirSync(join(folder, "app", file, ".."), { recursive: true });
    writeFileSync(join(folder, "app", file), text);
  }
  run("npx", ["next", "build"]);
  return readFileSync(join(folder, ".next/server/app/certified.body"), "utf8");
}

const bundlers = {
  esbuild: ["esbuild", "app.js", "--bundle", "--format=esm", "--outfile=esbuild/app.mjs"],
  webpack: [
    "webpack",
    "--mode",
    "production",
    "--entry",
    "./app.js",
    "-o",
    "webpack",
    "--output-public-path",
    "/",
  ],
  vite: ["vite", "build", "--outDir", "vite"],
};

/** What the built apps expect of a browser. */
const browser = "globalThis.self = globalThis; globalThis.location = new URL('http://localhost/');";

/** The script that a bundler wrote. */
const built = (name) => {
  const at = join(folder, name, name === "vite" ? "assets" : "");
  const file = readdirSync(at).find((entry) => /^(app\.mjs|main\.js|index-.*\.js)$/.test(entry));
  return readFileSync(join(at, file), "utf8");
};

try {
  const dependencies = {
    "@dmae/smoothing-certify": pack("smoothing-certify"),
    esbuild: "0.27.7",
    next: "16.4.6",
    node20: "npm:node@20.20.2",
    node22: "npm:node@22.23.3",
    react: "19.3.1",
    "react-dom": "19.3.1",
    vite: "7.3.8",
    webpack: "5.113.0",
    "webpack-cli": "6.0.1",
  };
  const overrides = { "@dmae/core": pack("core") };
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies, overrides }),
  );
  run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(join(folder, "app.js"), app);
  const config = "export default { build: { modulePreload: false } };\n"; // its polyfill needs a document
  writeFileSync(join(folder, "vite.config.js"), config);
  writeFileSync(join(folder, "index.html"), '<script type="module" src="/app.js"></script>');
  const expectClass = (name, said) => {
    if (said.trim() !== "class 1") throw new Error(`the app of ${name} said ${said}`);
    console.log(`${name}: builds and runs`);
  };
  for (const name of ["node20", "node22"])
    expectClass(name, run(join(folder, "node_modules", name, "bin", "node"), ["app.js"]));
  for (const [name, command] of Object.entries(bundlers)) {
    run("npx", command);
    writeFileSync(join(folder, `${name}.mjs`), `${browser}\n${built(name)}`);
    expectClass(name, run(process.execPath, [`${name}.mjs`]));
  }
  expectClass("next", buildWithNext());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
