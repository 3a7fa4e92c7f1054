import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { commandRunner } from "../../../../testing/run-command.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { parseLog } from "../log/log-reader.ts";
import { main } from "./cli-main.ts";

const folder = temporaryFolders("smoothing-cli-patch");
let place: string;
let patch: string[];
beforeAll(() => {
  place = folder();
  // image i has i bright columns of six; a copy with a bright pixel is of class 1
  writeFileSync(
    join(place, "bars.mjs"),
    `export default { name: "bars", length: 6, imageShape: [4, 6, 1], numClasses: 2, get: (i) => ({
      image: Float32Array.from({ length: 24 }, (_, p) => (p % 6 < i ? 1 : 0)), label: i > 2 ? 1 : 0 }) };`,
  );
  writeFileSync(
    join(place, "bright.mjs"),
    `export default (batch, [n]) => Int32Array.from({ length: n }, (_, row) =>
      batch.subarray(row * 24, row * 24 + 24).some((v) => v > 0.5) ? 1 : 0);`,
  );
  const [model, data] = [join(place, "bright.mjs"), join(place, "bars.mjs")];
  patch = ["patch", "--model", model, "--data", data];
});

const run = commandRunner(main);

it("patch prints rows, keeps a log that analyze reads, and goes on with it", async () => {
  const printed = await run(...patch, "--columns", "1");
  expect(printed.status).toBe(0);
  expect(parseLog(printed.out).map(({ radius }) => radius)).toEqual([3, 2, 1, 0, 0, 1]);
  expect(printed.error).toContain("6 images, certified accuracy r=0: 83.3 %, r=1: 66.7 %");
  const log = join(place, "log.tsv");
  await run(...patch, "--columns", "1", "--log", log, "--max", "2");
  expect((await run(...patch, "--columns", "1", "--log", log)).status).toBe(0);
  const { out } = await run("analyze", log);
  expect(out).toMatch(/r=0 +r=1 +r=2 +r=3 /);
  expect(out).toContain("33.3 [");
  const other = await run(...patch, "--columns", "2", "--log", log);
  expect(other.error).toContain("made with other settings (generator ablation/columns 1, stride 1");
});

it.each([
  [[], "give one of --columns, --rows and --block, got none"],
  [["--columns", "1", "--block", "2"], "got --columns and --block"],
  [["--columns", "0"], "--columns must be an integer of at least 1"],
  [["--columns", "7"], "ablation.columns must be at most 6, the image's side, got 7"],
  [["--columns", "1", "--encoding", "grey"], "--encoding must be fill, mask or complement"],
  [["--columns", "1", "--encoding", "mask", "--fill", "1"], "fill must be left out"],
  [["--columns", "1", "--sigma", "1"], "unknown option --sigma"],
])("patch refuses %j", async (more, message) => {
  const { status, error } = await run(...patch, ...more);
  expect(status).toBe(1);
  expect(error).toContain(message);
});
