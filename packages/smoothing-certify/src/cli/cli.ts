#!/usr/bin/env node
import { main } from "./cli-main.ts";

const controller = new AbortController();
process.once("SIGINT", () => controller.abort(new Error("stopped by Ctrl-C")));
process.once("SIGTERM", () => controller.abort(new Error("stopped")));

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  signal: controller.signal,
});
