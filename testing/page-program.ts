import { vi } from "vitest";
import { expectReadmeExample } from "./readme.ts";

/** Runs the program `example` that `page` shows, by `load`, and returns what it prints. */
export async function runPageProgram(page: URL, example: URL, load: () => Promise<unknown>) {
  expectReadmeExample(page, example);
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await load();
  return log.mock.calls;
}
