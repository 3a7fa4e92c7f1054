#!/usr/bin/env node
import { main } from "./cli.ts";

// A pipe whose reader has ended (`| head`) or a full disk: no stack trace.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", () => {
    process.exitCode = 1;
  });

process.exitCode = await main(process.argv.slice(2), console.log, console.error);
