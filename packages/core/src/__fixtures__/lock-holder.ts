// Child process of lock-file.test.ts: takes a lock, gives signs of life, and ends when it is killed.
//   node --import tsx lock-holder.ts <lock>
import { lockFile } from "../files/lock-file.ts";

await lockFile(process.argv[2]!, { caller: "test", guarded: "the file", poll: 20 });
console.log("locked");
setInterval(() => {}, 1000);
