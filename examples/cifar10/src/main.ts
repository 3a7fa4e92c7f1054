// The paper's CIFAR-10 experiments. `npm start -- --list`, `npm start -- --help`; docs/recipes.md has the commands.
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runMain } from "@dmae/reproduce";
import { recipes } from "./recipes.ts";

await runMain(
  { name: "cifar10", recipes, runs: fileURLToPath(new URL("../runs", import.meta.url)) },
  process.argv.slice(2),
);
