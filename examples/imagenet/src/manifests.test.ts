import { readFile } from "node:fs/promises";
import { reproduce } from "@dmae/reproduce";
import { expect, test } from "vitest";
import { recipes } from "./recipes.ts";

const read = (name: string) => readFile(new URL(`../manifests/${name}`, import.meta.url), "utf8");

/** What the command line answers to a plan of these options. */
async function plan(args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const example = {
    name: "imagenet",
    recipes,
    runs: "runs",
    say: (line: string) => lines.push(line),
  };
  await reproduce(example, [...args, "--dry-run", "--no-measure"]);
  return lines.join("\n");
}

test("the options of the Kubernetes job are those of the command line", async () => {
  const text = await read("certify-kubernetes.yaml");
  const args = [...text.matchAll(/^ +- (--[a-z-]+=[^ \n]+)/gm)].map(([, arg]) => arg!);
  expect(args).toHaveLength(6);
  expect(await plan(args)).toContain("dmae-vit-b-imagenet-cr-0.50");
  const completions = /completions: (\d+)/.exec(text)?.[1];
  expect(text).toContain(`SHARD_COUNT, value: "${completions}"`);
});

test("the options of the SLURM array are those of the command line", async () => {
  const text = await read("certify-slurm.sh");
  const line = /^npx tsx src\/main\.ts (.*)$/m.exec(text)![1]!;
  const values = ["dmae-vit-b-imagenet-cr-0.50", "/data", "/run"];
  const args = line
    .split(" ")
    .map((word) => word.replace(/^"\$(\d)"$/, (_, i) => values[Number(i) - 1]!));
  expect(await plan(args)).toContain("dmae-vit-b-imagenet-cr-0.50");
});
