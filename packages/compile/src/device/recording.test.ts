import { expect, it } from "vitest";
import { recordingOf } from "./recording.ts";

it("nothing runs beside what runs alone, whatever fails", async () => {
  const { alone, beside } = recordingOf();
  const running = new Set<string>();
  const seen: string[] = [];
  const task =
    (name: string, fails = false) =>
    async () => {
      running.add(name);
      seen.push([...running].join("+"));
      await new Promise((resolve) => setTimeout(resolve, 3));
      running.delete(name);
      if (fails) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([
    beside(task("a")),
    beside(task("b", true)),
    alone(task("R1", true)),
    beside(task("c")),
    alone(task("R2")),
    alone(task("R3")),
    beside(task("d")),
    beside(task("e")),
  ]);
  expect(results.map((r) => (r.status === "fulfilled" ? r.value : "failed"))).toEqual([
    ...["a", "failed", "failed", "c", "R2", "R3", "d", "e"],
  ]);
  for (const name of ["R1", "R2", "R3"])
    expect(seen.filter((each) => each.includes(name))).toEqual([name]);
  expect(seen).toContain("d+e");
});
