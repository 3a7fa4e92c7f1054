import { describe, expect, test } from "vitest";
import { type Facts, mpiCompiler } from "./addon.ts";
import { checkSize } from "./mpi-world.ts";
import { world } from "./world.ts";

describe("a process that was started alone", () => {
  test("is a world of one, the same at every call", async () => {
    const alone = await world();
    expect([alone.rank, alone.size]).toEqual([0, 1]);
    expect(await world()).toBe(alone);
    const data = Float32Array.of(1, 2);
    expect(await alone.allReduce(data, "max")).toBe(data);
    expect(await alone.broadcast(data)).toBe(data);
    expect(data).toEqual(Float32Array.of(1, 2));
    await alone.barrier();
    await expect(alone.abort(new RangeError("no"))).rejects.toThrow(RangeError);
  });

  test("names what ranks cannot exchange", async () => {
    const alone = await world();
    await expect(alone.allReduce([1] as never)).rejects.toThrow(
      "allReduce: data must be a Float32Array, Float64Array, Int32Array or Uint8Array, got Array",
    );
    await expect(alone.broadcast(undefined as never)).rejects.toThrow("got undefined");
    await expect(alone.allReduce(new Int32Array(1), "mean" as never)).rejects.toThrow(
      'allReduce: operation must be "sum", "max" or "min", got "mean"',
    );
    await expect(alone.broadcast(new Int32Array(1), 1)).rejects.toThrow(
      "broadcast: root must be a rank below 1, got 1",
    );
  });
});

test("a launcher of another MPI than the library is named, with the fix", () => {
  const facts = { size: 1, library: "Open MPI v4.1.4, package: Debian" } as Facts;
  const launched = { launcher: "mpiexec of MPICH", variable: "PMI_SIZE", size: 2 };
  expect(() => checkSize(facts, launched)).toThrow(
    "world: mpiexec of MPICH started 2 processes (PMI_SIZE), but Open MPI v4.1.4 sees 1; " +
      `launcher and library must be of one MPI: use the mpirun that belongs to ${mpiCompiler()}, or set MPICC`,
  );
  expect(() => checkSize({ ...facts, size: 2 }, launched)).not.toThrow();
  expect(() => checkSize(facts, { ...launched, size: undefined })).not.toThrow();
});
