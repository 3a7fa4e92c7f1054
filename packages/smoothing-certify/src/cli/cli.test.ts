import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { version } from "../../package.json";
import { readLog } from "../log/log-file.ts";
import { parseLog } from "../log/log-reader.ts";
import type { LogRow } from "../log/log-row.ts";
import { main } from "./cli-main.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../__fixtures__/${name}`, import.meta.url));
const folder = temporaryFolders("smoothing-cli");

async function run(...argv: string[]) {
  const printed = { out: "", error: "" };
  const status = await main(argv, {
    out: (text) => {
      printed.out += text;
    },
    error: (text) => {
      printed.error += text;
    },
  });
  return { status, ...printed };
}
const model = ["--model", fixture("halves.mjs"), "--data", fixture("steps.mjs")];
const small = [...model, "--sigma", "0.5", "--n", "200", "--n0", "10"];

const nowhere = ["--model", "nowhere.onnx", "--data", "nowhere"];

describe("smoothing-certify", () => {
  it("certify prints rows and a summary", async () => {
    const { status, out, error } = await run("certify", ...small);
    expect(status).toBe(0);
    const rows = parseLog(out);
    expect(rows.length).toBe(20);
    expect(rows[15]!.settings).toMatchObject({
      model: "halves.mjs",
      dataset: "steps/test",
      n: 200,
    });
    expect(error).toMatch(
      /steps\/test: accuracy [\d.]+ % clean, [\d.]+ % under noise on 16 images; largest radius that can be certified 0.9/,
    );
    expect(error).toMatch(/20 images, certified accuracy r=0: \d+.\d %/);
  });

  it("certify appends to a log, goes on with it, and refuses other settings", async () => {
    const log = join(folder(), "run.tsv");
    expect((await run("certify", ...small, "--log", log, "--max", "5")).status).toBe(0);
    expect(
      (
        await run(
          "certify",
          ...small,
          "--log",
          log,
          "--quiet",
          "--no-preflight",
          "--skip",
          "2",
          "--max",
          "9",
        )
      ).error,
    ).toBe("");
    expect((await readLog(log)).map((row) => row.idx)).toEqual([
      0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16,
    ]);
    const refused = await run("certify", ...small, "--log", log, "--seed", "cat");
    expect(refused.status).toBe(1);
    expect(refused.error).toMatch(/seed \d+ there, "cat" now/);
    const { seed } = (await readLog(log))[0]!.settings!;
    const again = await run("certify", ...small, "--quiet", "--seed", seed, "--max", "5");
    const votes = (rows: readonly LogRow[]) => rows.slice(0, 5).map((row) => row.counts);
    expect(votes(parseLog(again.out))).toEqual(votes(await readLog(log)));
    const other = await run("certify", ...small, "--quiet", "--max", "5");
    expect(votes(parseLog(other.out))).not.toEqual(votes(await readLog(log)));
  });

  it("certify goes on with another number of workers, and not with another model of the file's name", async () => {
    const module = (threshold: number) => {
      const file = join(folder(), "above.mjs");
      writeFileSync(
        file,
        `const predict = (batch, [n]) => Int32Array.from({ length: n }, (_, i) => +(batch[i] > 0.3));
export const a = { predict, fingerprint: "weights ${threshold}" };
export const b = { predict, fingerprint: "others ${threshold}" };
export default predict;`,
      );
      return ["--model", file, ...small.slice(2), "--quiet", "--no-preflight"];
    };
    const command = module(1);
    const other = module(2);
    for (const more of [[], ["--export", "a"]]) {
      const log = ["--log", join(folder(), "run.tsv"), ...more];
      for (const [i, workers] of [[], ["--workers", "2"], ["--workers", "1"], []].entries()) {
        const { error } = await run(
          ...["certify", ...command, ...log, ...workers, "--max", `${2 * i + 2}`],
        );
        expect(error).toBe("");
      }
      for (const workers of [[], ["--workers", "2"]]) {
        const { error } = await run("certify", ...other, ...log, ...workers);
        expect(error).toContain("was made with other settings (classifier ");
      }
      if (more.length === 0) continue;
      for (const workers of [[], ["--workers", "2"]]) {
        const { error } = await run("certify", ...command, ...log, "--export", "b", ...workers);
        expect(error).toContain("was made with other settings (classifier ");
      }
    }
  });

  it("other bounds, noises, samplers and exports are options", async () => {
    for (const more of [
      ["--bound", "two-class"],
      ["--noise", "uniform"],
      ["--noise", "laplace", "--norm", "l1"],
      ["--norm", "linf"],
      ["--skip-wrong-guess"],
      ["--export", "logits"],
      ["--workers", "2"],
      ["--noise-workers", "1", "--batch-size", "7", "--memory-limit", "1"],
      ["--indices", "3,19"],
    ]) {
      const { status, out, error } = await run("certify", ...small, ...more);
      expect(status, `${more} ${error}`).toBe(0);
      expect(parseLog(out).length).toBe(more[0] === "--indices" ? 2 : 20);
    }
  });

  it("takes pixels of a declared range, and writes the range to the log", async () => {
    const data = join(folder(), "bytes.mjs");
    writeFileSync(
      data,
      "export default { name: 'd', length: 3, imageShape: [1, 1, 1], numClasses: 2, get: (i) => ({ image: [120 * i - 1], label: 1 }) };",
    );
    const bytes = ["--model", fixture("halves.mjs"), "--data", data, "--sigma", "64", "--quiet"];
    const votes = ["--n", "200", "--n0", "10", "--no-preflight"];
    const undeclared = await run("certify", ...bytes, ...votes);
    expect(undeclared).toMatchObject({ status: 1 });
    expect(undeclared.error).toContain("x must lie in [0, 1], got -1");
    const declared = await run("certify", ...bytes, ...votes, "--range=-1,255");
    expect(declared).toMatchObject({ status: 0, error: "" });
    expect(parseLog(declared.out)[2]!.settings).toMatchObject({ range: "-1,255" });
    for (const command of ["predict", "at-radius"]) {
      const radius = command === "predict" ? [] : ["--radius", "9", "--max-samples", "100"];
      const { error } = await run(command, ...bytes, "--range=-1,255", ...radius);
      expect(error).not.toContain("error");
    }
    for (const wrong of ["255", "255,0", "0,1,2"])
      expect((await run("certify", ...bytes, ...votes, "--range", wrong)).error).toContain(
        `range must be [low, high] with finite numbers low < high, got [${wrong}]`,
      );
  });

  it("certify --adaptive has options of its own", async () => {
    const adaptive = [...model, "--sigma", "0.5", "--adaptive", "--max-samples", "300"];
    const own = [...adaptive, "--relative-width", "0.2", "--pilot", "40"];
    const { status, out, error } = await run("certify", ...own);
    expect(status, error).toBe(0);
    expect(parseLog(out)[0]!.settings).toMatchObject({ procedure: "adaptive", n: 300, n0: 40 });
    const mixed = await run("certify", ...own, "--n", "100");
    expect(mixed).toMatchObject({ status: 1 });
    expect(mixed.error).toContain("--n is not for --adaptive, whose options are --max-samples");
    const alone = await run("certify", ...small, "--pilot", "40");
    expect(alone.error).toContain("--pilot is for --adaptive; say --adaptive, or leave it out");
  });

  it("certifies an .onnx model", async () => {
    const data = join(folder(), "data.mjs");
    writeFileSync(
      data,
      "export default { name: 'd', length: 3, imageShape: [4, 4, 3], numClasses: 3, get: (i) => ({ image: new Float32Array(48).fill(i / 3), label: i }) };",
    );
    const onnx = ["--model", fixture("small.onnx"), "--data", data, "--sigma", "0.1", "--n", "100"];
    const { status, out } = await run(
      "certify",
      ...onnx,
      "--mean",
      "0.5",
      "--std",
      "0.25",
      "--quiet",
    );
    expect(status).toBe(0);
    expect(parseLog(out)[2]!.counts!.length).toBe(3);
    const dynamic = await run(
      "certify",
      ...onnx.with(1, fixture("dynamic-quantized.onnx")),
      "--quiet",
    );
    expect(dynamic).toMatchObject({ status: 1 });
    expect(dynamic.error).toContain("DynamicQuantizeLinear");
  });

  it("predict prints a line for each image", async () => {
    const { status, out } = await run(
      "predict",
      ...model,
      "--sigma",
      "0.5",
      "--n",
      "100",
      "--max",
      "4",
      "--quiet",
    );
    expect(status).toBe(0);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => line.split("\t"));
    expect(lines[0]).toEqual(["idx", "label", "predict", "pValue", "correct", "seed"]);
    expect(new Set(lines.slice(1).map((line) => line[5])).size).toBe(1);
    expect(lines.length).toBe(5);
    for (const [, label, predicted, p, correct] of lines.slice(1)) {
      expect(Number(p) > 0.001).toBe(predicted === "-1");
      expect(correct).toBe(label === predicted ? "1" : "0");
    }
  });

  it("at-radius, shards, merge, recertify and analyze fit together", async () => {
    const at = folder();
    const logs = [0, 1].map((i) => join(at, `shard${i}.tsv`));
    for (const [i, log] of logs.entries())
      expect(
        (await run("certify", ...small, "--quiet", "--log", log, "--shard", `${i}/2`)).status,
      ).toBe(0);
    const all = join(at, "all.tsv");
    expect((await run("merge", ...logs, "--out", all)).status).toBe(0);
    expect((await run("merge", logs[0]!)).error).toContain("shard 1/2 has 0 of 10 images");
    expect((await readLog(all)).length).toBe(20);
    const again = await run("recertify", all, "--alpha", "0.05");
    const before = await readLog(all);
    for (const [i, row] of parseLog(again.out).entries())
      expect(row.radius).toBeGreaterThanOrEqual(before[i]!.radius);
    const sequential = join(at, "sequential.tsv");
    expect(
      (
        await run(
          "at-radius",
          ...model,
          "--sigma",
          "0.5",
          "--radius",
          "0.3",
          "--max-samples",
          "1000",
          "--log",
          sequential,
          "--quiet",
        )
      ).status,
    ).toBe(0);
    const table = await run("analyze", sequential);
    expect(table.out).toContain("r=0.3");
    const markdown = await run(
      "analyze",
      all,
      "--format",
      "markdown",
      "--radii",
      "0,0.25",
      "--svg",
      join(at, "a.svg"),
      "--png",
      join(at, "a.png"),
      "--title",
      "a < b",
    );
    expect(markdown.error).toBe("");
    expect(markdown.out).toContain("| log | images | abstain | r=0 | r=0.25 | ACR | samples |");
    expect(readFileSync(join(at, "a.svg"), "utf8")).toContain("a &lt; b");
    expect(readFileSync(join(at, "a.png")).subarray(1, 4).toString()).toBe("PNG");
    expect((await run("analyze", sequential, "--svg", join(at, "b.svg"))).error).toContain(
      "gives no curve",
    );
    expect(existsSync(join(at, "b.svg"))).toBe(false);
  });

  it("analyze reads the original tools' logs and warns where rounding decided", async () => {
    const { out } = await run(
      "analyze",
      fixture("published/noise_0.25/cohen/noise_0.25.tsv.gz"),
      "--radii",
      "0,0.25,0.5,0.75",
    );
    expect(out).toContain("89.5 [88.9, 90.1]");
    expect(out).toContain("0.6701");
    expect(out).toContain(
      "WARNING: radii were printed with three digits; rounding may have counted too many images: 2 at r = 0.25, 5 at r = 0.5, 8 at r = 0.75",
    );
    const csv = await run(
      "analyze",
      fixture("published/noise_0.25/cohen/noise_0.25.tsv.gz"),
      "--radii",
      "0.25",
      "--format",
      "csv",
    );
    expect(csv.out.split("\n")[1]).toMatch(/^cohen\/noise_0.25,10000,0.0168,0.25,0.8199,0.81/);
    const latex = await run(
      "analyze",
      fixture("published/noise_0.25/cohen/noise_0.25.tsv.gz"),
      "--radii",
      "0.25",
      "--format",
      "latex",
    );
    expect(latex.out).toContain(
      "cohen/noise\\_0.25 & 10000 & 1.7 & $82.0_{81.2}^{82.7}$ & 0.6701 & - \\\\",
    );
  });

  it("stops at a signal without losing rows", async () => {
    const log = join(folder(), "run.tsv");
    const controller = new AbortController();
    let errors = "";
    const status = await main(["certify", ...small, "--log", log, "--batch-size", "100"], {
      out() {},
      error(text) {
        errors += text;
        if (text.startsWith("\r")) controller.abort(new Error("stop"));
      },
      signal: controller.signal,
    });
    expect(status).toBe(130);
    expect(errors).toContain("the same command goes on from there");
    expect((await run("certify", ...small, "--log", log, "--quiet")).status).toBe(0);
    expect((await readLog(log)).length).toBe(20);
  });

  it.each([
    [[], 0, "COMMAND"],
    [["--help"], 0, "analyze"],
    [["certify", "--help"], 0, "--sigma X"],
    [
      ["foo"],
      1,
      "the command must be one of certify, predict, at-radius, patch, attack, segment, labels, regress, plan, recertify, merge, verify, compare, analyze, got foo",
    ],
    [["--version"], 0, version],
    [["-h"], 0, "COMMAND"],
    [["certify", "-h"], 0, "--num-classes N"],
    [["certify", "run.tsv"], 1, "certify: takes options only, got run.tsv"],
    [["certify", ...model, "--sigma", "-1"], 1, "--sigma"],
    [["certify", ...model, "--sigma=-1"], 1, '--sigma must be a number above 0, got "-1"'],
    [
      ["certify", ...nowhere, "--sigma", "1", "--n", "1.5"],
      1,
      "--n must be an integer of at least 1",
    ],
    [
      ["certify", ...nowhere, "--sigma", "1", "--alpha", "1"],
      1,
      "--alpha must be a number in (0, 1)",
    ],
    [
      ["certify", ...nowhere, "--sigma", "1", "--norm", "l3"],
      1,
      '--norm must be l1, l2 or linf, got "l3"',
    ],
    [["certify", ...nowhere, "--sigma", "1", "--indices", "0,x"], 1, "--indices must be numbers"],
    [["at-radius", ...nowhere, "--sigma", "1"], 1, "--radius is needed"],
    [
      ["certify", ...nowhere.with(3, fixture("steps.mjs")), "--sigma", "1"],
      1,
      "there is no file nowhere.onnx",
    ],
    [["certify", "--foo"], 1, "certify: unknown option --foo; see certify --help"],
    [["certify", "--modle", "x"], 1, "certify: unknown option --modle; did you mean --model?"],
    [["certify", "--batchSize", "3"], 1, "unknown option --batchSize; did you mean --batch-size?"],
    [["certfy"], 1, "got certfy; did you mean certify?"],
    [["certify", "--data", fixture("steps.mjs")], 1, "--model is needed"],
    [
      ["certify", "--model", "no.onnx", "--data", fixture("steps.mjs"), "--sigma", "1"],
      1,
      "there is no file no.onnx",
    ],
    [
      ["certify", "--model", fixture("README.md"), "--data", fixture("steps.mjs"), "--sigma", "1"],
      1,
      "--model must be an .onnx file, a model.json of TensorFlow.js or a .js module",
    ],
    [["certify", ...model], 1, "--sigma is needed"],
    [["certify", ...model, "--sigma", "big"], 1, '--sigma must be a number above 0, got "big"'],
    [
      ["certify", ...model, "--sigma", "0.5", "--export", "foo"],
      1,
      ", but not foo; choose with --export",
    ],
    [
      ["certify", ...model, "--sigma", "0.5", "--export", "broken"],
      1,
      "the classifier threw: no such weights",
    ],
    [
      ["certify", ...model, "--sigma", "0.5", "--workers", "1", "--export", "foo"],
      1,
      "no classifier is exported as foo",
    ],
    [["certify", ...model, "--sigma", "0.5", "--shard", "3"], 1, "shard: must read i/n"],
    [["certify", ...model, "--sigma", "0.5", "--mean", "1"], 1, "--mean is for model files"],
    [
      ["certify", ...model, "--sigma", "0.5", "--image-size", "32"],
      1,
      "--image-size is for an image folder or --image",
    ],
    [
      ["certify", ...model.with(3, "nowhere"), "--sigma", "1"],
      1,
      "--data must be fashion-mnist, cifar10:DIR",
    ],
    [
      ["certify", ...model.with(3, "cifar10"), "--sigma", "1"],
      1,
      "say where the files lie, cifar10:DIR",
    ],
    [
      ["certify", ...model.with(3, "fashion-mnist:x"), "--sigma", "1"],
      1,
      "takes no folder, got fashion-mnist:x; say --data fashion-mnist, or idx:DIR for IDX files of your own",
    ],
    [
      ["certify", ...model.with(3, "fashion-mnist:"), "--sigma", "1"],
      1,
      "takes no folder, got fashion-mnist:;",
    ],
    [
      ["at-radius", ...model, "--sigma", "0.5"],
      1,
      "--radius is needed: the l2 radius to certify\n",
    ],
    [["plan", ...model, "--sigmas", "0.5"], 1, "--radius is needed: the l2 radius to certify\n"],
    [["analyze"], 1, "analyze: name at least one log file"],
    [["analyze", "no.tsv"], 1, "readLog: cannot read no.tsv"],
    [["analyze", fixture("README.md")], 1, "not a certification log, as certify or the original"],
    [
      ["analyze", fixture("statistics.json"), "--format", "pdf"],
      1,
      '--format must be text, markdown, latex or csv, got "pdf"',
    ],
  ])("%j ends with status %i", async (argv, status, message) => {
    const result = await run(...argv);
    expect(result.status, result.error).toBe(status);
    expect(result.out + result.error).toContain(message);
  });

  it("any words whatever end with a status, never with an exception", async () => {
    const word = fc.oneof(
      fc.constantFrom(
        "certify",
        "merge",
        "analyze",
        "recertify",
        "--sigma",
        "--n",
        "--alpha",
        "0.5",
        "-1",
        "--max",
        "1",
        "--log",
        "",
        "--shard",
        "0/2",
      ),
      fc.string({ maxLength: 6 }).filter((text) => !text.includes("/")),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 7 }), async (argv) => {
        const { status } = await run(...argv);
        expect([0, 1]).toContain(status);
      }),
      { seed: 8, numRuns: 200 },
    );
  });
});
