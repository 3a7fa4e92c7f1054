import { nodeProcess, runProgram } from "@dmae/core/native";

/** The memory of a card, in MiB. */
export interface CardMemory {
  readonly total: number;
  /** Of all processes. */
  readonly used: number;
  /** Of this process, where the driver says it (not in containers). */
  readonly own?: number;
}

/** Reads two answers of `nvidia-smi`: total and used memory of a card, and the memory of each process on it. */
export function parseCardMemory(
  card: string,
  processes: string,
  pid: number | undefined,
): CardMemory | undefined {
  const [total, used] = card.split("\n", 1)[0]!.split(",").map(Number);
  if (!(total! > 0 && used! >= 0)) return undefined;
  const rows = processes.split("\n").map((line) => line.split(",").map(Number));
  const own = rows.find(([id, held]) => id === pid && held! >= 0)?.[1];
  return { total: total!, used: used!, ...(own !== undefined && { own }) };
}

/** Memory of the card that this process uses, from `nvidia-smi`; undefined if that is not installed. */
export async function cardMemory(): Promise<CardMemory | undefined> {
  const card = nodeProcess?.env?.CUDA_VISIBLE_DEVICES?.split(",", 1)[0] || "0";
  const ask = (query: string) =>
    runProgram(["nvidia-smi"], [`--id=${card}`, query, "--format=csv,noheader,nounits"], 5000);
  try {
    const [memory, processes] = await Promise.all([
      ask("--query-gpu=memory.total,memory.used"),
      ask("--query-compute-apps=pid,used_memory"),
    ]);
    return parseCardMemory(memory, processes, nodeProcess?.pid);
  } catch {
    return undefined;
  }
}
