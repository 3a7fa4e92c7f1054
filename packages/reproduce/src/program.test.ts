import { spawnSync } from "node:child_process";
import process from "node:process";
import { expect, test } from "vitest";

const program = new URL("./program.ts", import.meta.url).href;

/** Runs the body of a program, its output piped into `reader`. */
function run(body: string, reader = "cat") {
  const script = `import { runAsProgram } from ${JSON.stringify(program)};
    import { DmaeError } from "@dmae/core";
    await runAsProgram(async (signal) => { ${body} });`;
  const node = `"${process.execPath}" --import tsx --input-type=module -e "$SCRIPT"`;
  const command = `{ ${node}; echo "exit $?" >&2; } | ${reader}`;
  const { stdout, stderr } = spawnSync("sh", ["-c", command], {
    cwd: new URL("..", import.meta.url),
    env: { ...process.env, SCRIPT: script },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { out: stdout.trim(), error: stderr.trim() };
}

test.skipIf(process.platform === "win32")("ends quietly when its reader ends", () => {
  const printing = `for (let line = 0; ; line++) {
    console.log("line " + line);
    await new Promise((resolve) => setTimeout(resolve));
  }`;
  expect(run(printing, "head -n 1")).toEqual({ out: "line 0", error: "exit 0" });
});

test.skipIf(process.platform === "win32")("exits with 0, 1 or 130, and one sentence", () => {
  expect(run('console.log("done")')).toEqual({ out: "done", error: "exit 0" });
  const wrong = 'throw new DmaeError("argument", "sigma must be positive")';
  expect(run(wrong)).toEqual({ out: "", error: "sigma must be positive\nexit 1" });
  const stopped = `process.kill(process.pid, "SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 100));
    signal.throwIfAborted();`;
  expect(run(stopped).error).toBe("stopped after a checkpoint; start again to go on\nexit 130");
});
