import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { expectReadmeExample } from "../readme.ts";
import { bundle } from "./bundle.ts";

// The packages as built; where this says "Could not resolve", the module belongs into the "browser" field of package.json.
const packages =
  "core nn vit compile smoothing-certify checkpoint train consistency-loss pretrain finetune";

for (const name of packages.split(" "))
  it(`@dmae/${name} is bundled for browsers without settings, and without a module of Node`, async () => {
    const code = `import * as all from "@dmae/${name}"; console.log(all);`;
    const { metafile, outputFiles, warnings } = await bundle({ code });
    expect(warnings.map(({ text }) => text)).toEqual([]);
    const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
    expect(imports.filter(({ external }) => external)).toEqual([]);
    expect(outputFiles.map(({ text }) => text).join().length).toBeGreaterThan(10_000);
  });

it("the program of the page on browsers is bundled", async () => {
  const start = new URL("../../docs/start/", import.meta.url);
  const example = new URL("browser.example.ts", start);
  expectReadmeExample(new URL("browser.md", start), example);
  const { outputFiles, warnings } = await bundle({ file: fileURLToPath(example) });
  expect(warnings.map(({ text }) => text)).toEqual([]);
  expect(outputFiles.map(({ text }) => text).join()).toContain("/model.onnx");
});

it("the playground weighs less than 300 kB without runtime and model", async () => {
  const weigh = async (name: string) => {
    const file = fileURLToPath(new URL(`../../playground/src/${name}.ts`, import.meta.url));
    const { metafile, warnings } = await bundle({ file, minify: true });
    expect(warnings.map(({ text }) => text)).toEqual([]);
    const [entry] = Object.keys(metafile.outputs).filter((path) => path.endsWith(`${name}.js`));
    const loaded = new Set([entry!]);
    for (const path of loaded)
      for (const { path: next, kind } of metafile.outputs[path]!.imports)
        if (kind === "import-statement") loaded.add(next);
    return [...loaded].reduce((sum, path) => sum + metafile.outputs[path]!.bytes, 0);
  };
  const weight = (await weigh("element")) + (await weigh("worker"));
  expect(weight).toBeLessThan(300_000 - 75_000); // 75 kB of ONNX Runtime's own script come on top
});
