import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { secondsInLog } from "./seconds-in-log.ts";

const scratch = temporaryFolders("seconds");

it("adds the seconds of all rows, however they are written, up to one that was cut off", async () => {
  const log = join(scratch(), "log.tsv");
  expect(await secondsInLog(log)).toBe(0);
  const head = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n";
  for (const [text, seconds] of [
    ["", 0],
    [head.slice(0, 9), 0],
    [head, 0],
    [`${head}0\t9\t9\t0.5\t1\t1.5\n1\t2\t2\t0.5\t1\t0:01:00.250000\n`, 61.75],
    [`${head}0\t9\t9\t0.5\t1\t1.5\n1\t2\t2\t0.`, 1.5],
  ] as const) {
    writeFileSync(log, text);
    expect(await secondsInLog(log), JSON.stringify(text)).toBe(seconds);
  }
});
