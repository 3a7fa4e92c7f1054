import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// The built package in a folder of its own, with jstat, core and core's seedrandom and nothing else.
const root = mkdtempSync(join(tmpdir(), "smoothing-alone-"));
const here = fileURLToPath(new URL("..", import.meta.url));

beforeAll(() => {
  for (const name of ["smoothing-certify", "core"]) {
    const from = join(here, "..", name);
    const to = join(root, "node_modules/@dmae", name);
    if (!existsSync(join(from, "dist/index.js")))
      throw new Error(`build ${name} first: npm run build`);
    mkdirSync(to, { recursive: true });
    cpSync(join(from, "dist"), join(to, "dist"), { recursive: true });
    cpSync(join(from, "package.json"), join(to, "package.json"));
  }
  const modules = { jstat: here, seedrandom: join(here, "../core") };
  for (const [name, owner] of Object.entries(modules)) {
    const require = createRequire(join(owner, "package.json"));
    let folder = dirname(realpathSync(require.resolve(name)));
    while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
    cpSync(folder, join(root, "node_modules", name), { recursive: true, dereference: true });
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(script: string): string {
  const file = join(root, "script.mjs");
  writeFileSync(
    file,
    `import * as certifying from "@dmae/smoothing-certify";\nimport { svgToPng } from "@dmae/smoothing-certify/report";\nimport { noiseInWorkers } from "@dmae/smoothing-certify/workers";\n${script}`,
  );
  return execFileSync(process.execPath, [file], { cwd: root, encoding: "utf8", stdio: "pipe" });
}
const halves =
  "const halves = (batch, [n]) => Array.from({ length: n }, (_, i) => (batch[i] > 0 ? 1 : 0));\n";

describe("the built package without TensorFlow.js, onnxruntime, sharp and data sets", () => {
  it("certifies plain functions, with noise from threads too", () => {
    const printed = run(`${halves}
      const options = { seed: 0, sigma: 0.5, n: 500, numClasses: 2 };
      const { prediction, radius } = await certifying.certify(halves, [0.6], options);
      const noise = await noiseInWorkers({ seed: 0, sigma: 0.5 }, { workers: 1 });
      const threaded = await certifying.certify(halves, [0.6], { ...options, noise });
      await noise.close();
      console.log(prediction, radius > 0.4 && radius < 0.6, threaded.radius === radius);`);
    expect(printed.trim()).toBe("1 true true");
  });

  it("says what is missing where it is needed", () => {
    writeFileSync(join(root, "model.json"), '{"format": "graph-model", "modelTopology": {}}');
    const printed = run(`${halves}
      const attempts = [
        () => certifying.certify(halves, [0.6], { sigma: 0.5, n: 10, numClasses: 2, input: "tensor" }),
        () => certifying.fromOnnx("model.onnx"),
        () => svgToPng("<svg/>"),
        () => certifying.fromModelJson("model.json"),
      ];
      for (const attempt of attempts)
        await attempt().then(() => console.log("no error"), (e) => console.log(e.code, e.message));`);
    const [tensor, onnx, png, json] = printed.trim().split("\n");
    expect(tensor).toContain(
      "unsupported certify: this classifier takes tensors, but TensorFlow.js is not loaded",
    );
    expect(onnx).toContain("unsupported fromOnnx: onnxruntime-node is needed");
    expect(png).toContain("unsupported svgToPng: PNG pictures need sharp");
    expect(json).toContain(
      "unsupported fromModelJson: a model.json runs on @tensorflow/tfjs-core; install it with npm install @tensorflow/tfjs-core",
    );
  });

  it("has a command", () => {
    const cli = join(root, "node_modules/@dmae/smoothing-certify/dist/cli.js");
    const log = fileURLToPath(
      new URL("./__fixtures__/published/noise_0.25/cohen/noise_0.25.tsv.gz", import.meta.url),
    );
    const printed = execFileSync(
      process.execPath,
      [cli, "analyze", log, "--format", "csv", "--radii", "0.25"],
      { encoding: "utf8" },
    );
    expect(printed).toContain("0.25,0.8199,");
    const model = fileURLToPath(new URL("./__fixtures__/halves.mjs", import.meta.url));
    const attempt = () =>
      execFileSync(
        process.execPath,
        [cli, "certify", "--model", model, "--data", "fashion-mnist", "--sigma", "1"],
        { stdio: "pipe" },
      );
    expect(attempt).toThrow("install it with npm install @dmae/datasets");
  });
});
