import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { keepResult, removeKeptLog, resultFiles } from "./keep-result.ts";

const scratch = temporaryFolders("results");

it("keeps a log and its facts, and tells the log of a kept result from one to continue", async () => {
  const folder = scratch();
  const [log, files] = [join(folder, "row.tsv"), resultFiles(join(folder, "results"), "row")];
  writeFileSync(log, "first\n");
  await removeKeptLog(log, files); // not kept yet
  await keepResult(files, { log, facts: { date: "today" } });
  expect(readdirSync(join(folder, "results"))).toEqual(["row.json", "row.tsv.gz"]);
  expect(gunzipSync(readFileSync(files.log)).toString()).toBe("first\n");
  expect(JSON.parse(readFileSync(files.facts, "utf8"))).toEqual({ date: "today" });
  await removeKeptLog(log, files); // --again
  expect(existsSync(log)).toBe(false);
  writeFileSync(log, "fir"); // and killed
  await removeKeptLog(log, files);
  expect(existsSync(log)).toBe(true);
  writeFileSync(log, "first\n");
  rmSync(files.facts); // killed while it was kept
  await removeKeptLog(log, files);
  expect(existsSync(log)).toBe(true);
});
