#!/usr/bin/env node
import { fileError } from "@dmae/core/files";
import { main } from "./cli-main.ts";

const controller = new AbortController();
process.once("SIGINT", () => controller.abort(new Error("stopped by Ctrl-C")));
process.once("SIGTERM", () => controller.abort(new Error("stopped")));

// A full disk or a pipe whose reader has ended: results fail where they are written, progress is left out.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

process.exitCode = await main(process.argv.slice(2), {
  out: (text) =>
    new Promise((resolve, reject) =>
      process.stdout.write(text, (cause) =>
        cause
          ? reject(fileError("smoothing-certify", "write to", "standard output", cause))
          : resolve(),
      ),
    ),
  error: (text) => process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
  signal: controller.signal,
});
