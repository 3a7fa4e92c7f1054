// The command line over the test recipes: what the tests start, kill and start again.
import process from "node:process";
import { runMain } from "../main.ts";
import { testRecipes } from "./recipes.ts";

await runMain({ name: "reproduction", recipes: testRecipes, runs: "runs" }, process.argv.slice(2));
