import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isCard, type Options } from "./options.ts";

/**
 * The folder of a run: the one asked for, or one whose name follows from every option that decides the
 * numbers, so that the same command goes on where it was and another one starts afresh.
 */
export function runFolder({ folder, ...options }: Options): string {
  const { sigma, epochs, seed, trainImages, executor, backend, pretrained } = options;
  const runner = executor === "eager" || isCard(backend) ? backend : executor;
  const training = createHash("sha256")
    .update(JSON.stringify([sigma, epochs, seed, trainImages, runner]))
    .digest("hex")
    .slice(0, 8);
  const model = pretrained ? "pretrained" : training;
  const path =
    folder ??
    fileURLToPath(new URL(`../runs/sigma-${sigma}-seed-${seed}-${model}`, import.meta.url));
  mkdirSync(path, { recursive: true });
  return path;
}
