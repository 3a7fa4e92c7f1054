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
