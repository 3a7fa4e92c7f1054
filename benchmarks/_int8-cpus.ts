// Which bits of an int8 classifier depend on the CPU: the same files and images on this one and on emulated ones.
// DMAE_QEMU names qemu-x86_64 (7.2 or later, Debian's qemu-user); AVX2 without VNNI is Haswell, SSE alone Nehalem.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { exportOnnx } from "@dmae/compile";
import type { HostTensors } from "@dmae/core";
import { logitsOf, noisyBatches, quantization, quickstart } from "./_int8-model.ts";

const rows = 8;
const cpus = ["Haswell", "Nehalem"];

/** Prints the largest differences of logits between this CPU and others. */
export async function compareCpus(constants: HostTensors): Promise<void> {
  const qemu = process.env.DMAE_QEMU;
  if (!qemu) {
    console.log("\nOther CPUs: skipped, set DMAE_QEMU to qemu-x86_64");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "bench-int8-"));
  try {
    const names = await writeModels(folder, constants);
    const here = run([process.execPath], folder, names);
    console.log(`\nLargest difference of ${here[0]!.length} logits from those of this CPU:\n`);
    console.log(
      `| emulated CPU | ${names.join(" | ")} |\n|---|${names.map(() => "---|").join("")}`,
    );
    for (const cpu of cpus) {
      const there = run([qemu, "-cpu", cpu, process.execPath, "--jitless"], folder, names);
      const cells = there.map((logits, m) => {
        const most = Math.max(...logits.map((v, i) => Math.abs(v - here[m]![i]!)));
        return most === 0 ? "none" : most.toPrecision(1);
      });
      console.log(`| ${cpu} | ${cells.join(" | ")} |`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function writeModels(folder: string, constants: HostTensors): Promise<string[]> {
  const specs = { x: { shape: [rows, 28, 28, 1] } };
  const files: [string, Uint8Array][] = [
    ["float32", exportOnnx({ fn: logitsOf(quickstart), specs, constants })],
  ];
  for (const weightBits of [7, 8] as const) {
    const scales = await quantization(quickstart, constants, { weightBits });
    const options = { constants, precision: "int8" as const, quantization: scales };
    const bytes = exportOnnx({ fn: logitsOf(quickstart), specs }, options);
    files.push([`int8, ${weightBits}-bit weights`, bytes]);
  }
  for (const [name, bytes] of files) writeFileSync(join(folder, `${name}.onnx`), bytes);
  const [fresh] = await noisyBatches(1, "fresh");
  const values = (fresh!.x.data as Float32Array).slice(0, rows * 784);
  writeFileSync(join(folder, "x.bin"), new Uint8Array(values.buffer));
  return files.map(([name]) => name);
}

/** The logits of each model, computed by `command`. */
function run(command: readonly string[], folder: string, names: readonly string[]): number[][] {
  const script = `
    const ort = require("onnxruntime-node");
    const { readFileSync, writeFileSync } = require("node:fs");
    (async () => {
      const x = new Float32Array(new Uint8Array(readFileSync("${folder}/x.bin")).buffer);
      const all = [];
      for (const name of ${JSON.stringify(names)}) {
        const session = await ort.InferenceSession.create("${folder}/" + name + ".onnx", { intraOpNumThreads: 1 });
        const { logits } = await session.run({ x: new ort.Tensor("float32", x, [${rows}, 28, 28, 1]) });
        all.push([...logits.data]);
      }
      writeFileSync("${folder}/logits.json", JSON.stringify(all));
      process.exit(0);
    })();`;
  const [program = "", ...args] = command;
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const { status } = spawnSync(program, [...args, "-e", script], { cwd, stdio: "ignore" });
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}`);
  return JSON.parse(readFileSync(join(folder, "logits.json"), "utf8"));
}
