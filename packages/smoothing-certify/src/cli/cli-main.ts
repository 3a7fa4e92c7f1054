import { DmaeError } from "@dmae/core";
import { nearestNames } from "@dmae/core/checks";
import { version } from "../../package.json";
import { help, parseArguments, withOptionNames } from "./cli-arguments.ts";
import { runAttack } from "./cli-attack.ts";
import { certifyImage, isOneImage, verify } from "./cli-certificate.ts";
import { denseCommands, runDense } from "./cli-dense.ts";
import { runLogs } from "./cli-logs.ts";
import { commands, readsLogs } from "./cli-options.ts";
import { runPatch } from "./cli-patch.ts";
import { runPlan } from "./cli-plan.ts";
import type { Streams } from "./cli-rows.ts";
import { runModel } from "./cli-run.ts";

/**
 * The command `smoothing-certify`.
 *
 * @param argv arguments after the program's name
 * @returns exit status: 0, 1 for an error, 130 when it was stopped
 */
export async function main(argv: readonly string[], io: Streams): Promise<number> {
  const [command, ...rest] = argv;
  try {
    if (command === undefined || ["--help", "-h", "help"].includes(command)) {
      await io.out(help());
      return 0;
    }
    if (["--version", "-v", "version"].includes(command)) {
      await io.out(`${version}\n`);
      return 0;
    }
    if (!Object.hasOwn(commands, command))
      throw new DmaeError(
        "argument",
        `the command must be one of ${Object.keys(commands).join(", ")}, got ${command}; did you mean ${nearestNames(command, Object.keys(commands), 1)}?`,
      );
    const args = parseArguments(command, rest);
    if (args.has("help")) await io.out(help(command));
    else if (command === "verify") await verify(args, io);
    else if (command === "certify" && isOneImage(args)) await certifyImage(args, io);
    else if (command === "patch") await runPatch(args, io);
    else if (command === "attack") await runAttack(args, io);
    else if (command === "plan") await runPlan(args, io);
    else if (Object.hasOwn(denseCommands, command)) await runDense(command, args, io);
    else if (readsLogs(command)) await runLogs(command, args, io);
    else await runModel(command, args, io);
    return 0;
  } catch (error) {
    if (io.signal?.aborted) {
      io.error(
        "\nstopped; nothing that was written is lost, the same command goes on from there\n",
      );
      return 130;
    }
    if (!DmaeError.isInstance(error)) throw error;
    io.error(`\nerror: ${withOptionNames(error.message)}\n`);
    return 1;
  }
}
