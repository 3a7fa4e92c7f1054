import { world } from "@dmae/distributed";

const ranks = await world(); // of one, unless a launcher started more
const sum = await ranks.allReduce(Float64Array.of(ranks.rank + 1));
if (ranks.rank === 0) console.log(`${ranks.size} ranks, sum ${sum[0]}`);
