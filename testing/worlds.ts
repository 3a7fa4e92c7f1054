import type { World, WorldData, WorldOperation } from "../packages/core/src/index.ts";

const join: Record<WorldOperation, (a: number, b: number) => number> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};

/** What the ranks have handed in for one operation. */
interface Meeting {
  readonly given: WorldData[];
  readonly done: Promise<void>;
  end(): void;
}

/**
 * Ranks that live in this process: every operation waits for all of them, as MPI does. `aborted` collects what ranks
 * ended the job with.
 */
export function localWorlds(size: number): { worlds: World[]; aborted: [number, unknown][] } {
  const meetings: Meeting[] = [];
  const aborted: [number, unknown][] = [];
  const worlds = Array.from({ length: size }, (_, rank): World => {
    let next = 0;
    const meet = async (data: WorldData): Promise<readonly WorldData[]> => {
      const number = next++;
      meetings[number] ??= meeting();
      const { given, done, end } = meetings[number]!;
      given[rank] = data.slice();
      if (given.filter((each) => each !== undefined).length === size) end();
      await done;
      return given;
    };
    return {
      rank,
      size,
      async allReduce(data, operation = "sum") {
        const all = await meet(data);
        for (let i = 0; i < data.length; i++)
          data[i] = all.map((each) => each[i]!).reduce(join[operation]);
        return data;
      },
      async broadcast(data, root = 0) {
        data.set((await meet(data))[root]!);
        return data;
      },
      async barrier() {
        await meet(new Uint8Array());
      },
      async abort(reason) {
        aborted.push([rank, reason]);
        throw reason;
      },
    };
  });
  return { worlds, aborted };
}

function meeting(): Meeting {
  let end = () => {};
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { given: [], done, end };
}
