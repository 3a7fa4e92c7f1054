// A rank of mpi.test.ts: mpirun -n 2 node --import tsx ranks.ts <what>
import { writeSync } from "node:fs";
import { DmaeError } from "@dmae/core";
import { world } from "../index.ts";

const [what] = process.argv.slice(2);
const ranks = await world();
const { rank, size } = ranks;
const print = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`);

async function operations() {
  const large = new Float32Array((1 << 23) + 5).fill(rank + 1); // more than one bucket
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 1);
  const sum = await ranks.allReduce(large);
  clearInterval(ticking);
  const told = {
    rank,
    sum: [sum[0], sum[1 << 23], sum.at(-1)],
    max: [...(await ranks.allReduce(Float64Array.of(rank, -rank), "max"))],
    min: [...(await ranks.allReduce(Int32Array.of(rank, -rank), "min"))],
    told: [...(await ranks.broadcast(Uint8Array.of(rank, 7), size - 1))],
    // queued at once, in one order everywhere
    queued: (
      await Promise.all([1, 2, 3].map((i) => ranks.allReduce(Float64Array.of(i))))
    ).map(([value]) => value),
    isTicking: ticks > 0,
  };
  await ranks.barrier();
  print(told);
}

async function fail(how: string) {
  if (rank === size - 1) {
    if (how === "abort") return ranks.abort(new DmaeError("numeric", "fit: loss must be finite"));
    if (how === "throw") throw new Error("thrown on purpose");
    process.kill(process.pid, "SIGKILL");
  }
  await ranks.barrier(); // never ends
}

if (what === "operations") await operations();
else await fail(what!);
