import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
// @ts-expect-error a script, without types
import { pack } from "../scripts/prove-gpu-pack.mjs";

const canRun = process.platform === "linux" && process.arch === "x64";

it.skipIf(!canRun)(
  "what prove-gpu packs runs in an empty folder, with nothing of this machine but a shell and tar",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "prove-gpu-test-"));
    try {
      pack(folder, { only: ["webgpu", "images"], level: 0 });
      expect(statSync(join(folder, "1-webgpu.tar.xz")).size).toBeLessThan(60 * 2 ** 20);
      const prove = [join(folder, "prove.sh"), "--dry-run", "--folder", join(folder, "out")];
      // No network of its own, where the system allows that.
      const alone = ["unshare", "--user", "--net", "sh"];
      const env = { HOME: folder, PATH: "/usr/bin:/bin" };
      const run = ([program = "", ...more]: string[]) =>
        execFileSync(program, [...more, ...prove], { cwd: folder, env, encoding: "utf8" });
      let printed = "";
      try {
        printed = run(alone);
      } catch {
        printed = run(["sh"]);
      }
      const { stages } = JSON.parse(readFileSync(join(folder, "out/results.json"), "utf8"));
      expect(stages["parity cpu"], printed).toMatchObject({ status: "done" });
      for (const row of stages["parity cpu"].rows) expect(row.ok).toBe(true);
      expect(stages["parity cpu"].rows).toHaveLength(6);
      expect(stages["throughput cpu"].status).toBe("done");
      for (const name of ["start cpu", "fashion cpu", "cifar cpu"])
        expect(stages[name].status, printed).toBe("done");
      expect(stages["start cpu"].rows[0].result).toContain("DMAE, this run (5 images, n = 100)");
      expect(readFileSync(join(folder, "out/report.md"), "utf8")).toContain("### Dry run");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  1_200_000,
);
