import { describe, expect, test } from "vitest";
import { hasMpi, runRanks } from "../../../testing/mpi.ts";

const program = new URL("./__fixtures__/ranks.ts", import.meta.url);

describe.runIf(hasMpi)("ranks", () => {
  test("sum, compare, tell each other and wait, while their event loops go on", async () => {
    const { code, stdout, stderr } = await runRanks(2, program, ["operations"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const told = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const expected = {
      ...{ sum: [3, 3, 3], max: [1, 0], min: [0, -1], told: [1, 7], queued: [2, 4, 6] },
      isTicking: true,
    };
    expect(told.sort((a, b) => a.rank - b.rank)).toEqual([
      { rank: 0, ...expected },
      { rank: 1, ...expected },
    ]);
  });

  test.each([
    ["abort", "rank 1 of 2: fit: loss must be finite"],
    ["throw", "rank 1 of 2: thrown on purpose"],
    ["kill", /rank 1|BAD TERMINATION/], // the launcher says it; that of MPICH knows the process alone
  ])("that end by %s end the job, and one message names them", async (how, message) => {
    const { code, stdout, stderr } = await runRanks(2, program, [how]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(message);
  });
});
