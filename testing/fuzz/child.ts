// Reads damaged files in a process of its own: tsx child.ts <seed> <from> <files>. Prints one line before each
// file, so that its parent knows which one hangs, and the counts at the end.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutate } from "../../packages/checkpoint/src/testing/fuzz-mutations.ts";
import { DmaeError, key } from "../../packages/core/src/index.ts";
import { generator } from "../../packages/core/src/random.ts";
import { allFormats } from "./formats.ts";

/** Processor time that one file may take, and resident memory that it may add. */
const maxSeconds = 5;
const maxBytes = 2 ** 28;

const [seed = 0, from = 0, files = 0] = process.argv.slice(2).map(Number);
const folder = await mkdtemp(join(tmpdir(), "dmae-fuzz-"));
const formats = await allFormats(folder);
const counts = Object.fromEntries(formats.map(({ name }) => [name, { read: 0, refused: 0 }]));
const peak = () => process.resourceUsage().maxRSS * 1024;
for (const { originals, read } of formats) for (const file of originals) await read(file);

for (let i = from; i < from + files; i++) {
  const { name, originals, read } = formats[i % formats.length]!;
  const random = generator(key(`${seed}/${i}`));
  const pick = () => originals[Math.floor(random() * originals.length)]!;
  const damaged = mutate(new Uint8Array(pick()), random, new Uint8Array(pick()));
  process.stdout.write(`${i} ${name}\n`);
  const [memory, time] = [peak(), process.cpuUsage()];
  try {
    await read(damaged);
    counts[name]!.read++;
  } catch (error) {
    if (!DmaeError.isInstance(error))
      throw new Error(`file ${i} of seed ${seed}, ${name}`, { cause: error });
    counts[name]!.refused++;
  }
  const { user, system } = process.cpuUsage(time);
  const seconds = (user + system) / 1e6;
  if (seconds > maxSeconds || peak() - memory > maxBytes)
    throw new Error(`file ${i} of seed ${seed}, ${name}: ${seconds} s, ${peak() - memory} bytes`);
}
await rm(folder, { recursive: true });
process.stdout.write(`${JSON.stringify(counts)}\n`);
