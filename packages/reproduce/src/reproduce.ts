import { join } from "node:path";
import { DmaeError, key, type World } from "@dmae/core";
import { type FileLock, lockFile, makeFolder } from "@dmae/core/files";
import { certifyStage } from "./certify-stage.ts";
import { checkRecipe } from "./check-recipe.ts";
import { comparedRun } from "./compared-runs.ts";
import { convert } from "./convert.ts";
import { type Data, generatedData, openData } from "./data.ts";
import {
  type Downloads,
  fetchFor,
  officialDownloads,
  requirePublished,
  wanted,
} from "./downloads.ts";
import { evaluateStage } from "./evaluate-stage.ts";
import { executorOf } from "./executor.ts";
import { inputSizeOf, modelOf } from "./model.ts";
import { chosenStages, findRecipe, helpText, type Options, readOptions } from "./options.ts";
import { planOf } from "./plan.ts";
import { isClassifierRecipe, type Recipe, type Stage } from "./recipe.ts";
import { reportStage } from "./report-stage.ts";
import { claimFolder, explained, isFirst, logLine, type Run } from "./run.ts";
import { seedFolder, seedsReport } from "./seeds-report.ts";
import { applySettings } from "./settings.ts";
import { smokeRecipe } from "./smoke.ts";
import { softLabelSource } from "./soft-label-source.ts";
import { trainStage } from "./train-stage.ts";

/** What an example gives. */
export interface Example {
  /** Name of the example's folder. */
  readonly name: string;
  /** Its recipes by name. */
  readonly recipes: Readonly<Record<string, Recipe>>;
  /** Where run folders are made. */
  readonly runs: string;
  /** Tells the user a line; default: standard output. */
  readonly say?: (line: string) => void;
  /** Stops the run after a checkpoint. */
  readonly signal?: AbortSignal;
  /** How `--download` fetches; default: from the authors' addresses. */
  readonly downloads?: Downloads;
  /** The processes that run it together; default: this one alone. */
  readonly world?: World;
}

/**
 * Runs an example's command line.
 *
 * @throws DmaeError with one sentence for people, for everything that a user can mend
 */
export async function reproduce(example: Example, args: readonly string[]): Promise<void> {
  const tell = example.say ?? ((line: string) => console.log(line));
  const say = isFirst(example.world) ? tell : () => {};
  if (args[0] === "convert") return say(await convert(args.slice(1)));
  let options = readOptions(args);
  if (options.help) return say(helpText(example.name));
  if (options.list) return say(listing(example.recipes));
  if (options.recipe === undefined && options.download)
    return firstThenOthers(example.world, () => fetchAll(example, options, say));
  if (options.recipe === undefined)
    throw new DmaeError(
      "argument",
      "reproduce: --recipe NAME is needed; --list names all, --help explains",
    );
  const original = findRecipe(example.recipes, options.recipe);
  const stages = chosenStages(original, options.stages);
  const settled = applySettings(options.smoke ? smokeRecipe(original, 10) : original, options.set);
  checkRecipe(settled);
  if (options.dryRun) {
    const softLabels = await softLabelSource(settled, options);
    const executor = options.measure
      ? await executorOf(options.backend, options.precision)
      : undefined;
    say(await planOf(settled, options, executor));
    if (softLabels) say(`soft labels       ${softLabels.text}`);
    if (options.seeds > 1) say(`seeds             ${options.seeds}: as many runs as this one`);
    if (options.download)
      say(`--download        ${wanted(settled, options).join(", ") || "nothing to fetch"}`);
    return;
  }
  const { world } = example;
  const fetch = () => withDownloads(example, settled, options, say);
  if (options.download) options = await firstThenOthers(world, fetch);
  if (options.data === undefined && !options.smoke)
    throw new DmaeError(
      "argument",
      `--data: ${original.name} needs the folder of its images; --smoke runs without, --dry-run prints the plan`,
    );
  for (const folder of options.compare) await comparedRun(folder); // named wrongly, it is told before days of work
  const request = { original, settled, stages, options, say };
  await (options.seeds === 1 ? runStages(example, request) : runSeeds(example, request));
}

interface Request {
  readonly original: Recipe;
  readonly settled: Recipe;
  readonly stages: readonly Stage[];
  readonly options: Options;
  readonly say: (line: string) => void;
}

/** Rank 0 downloads; the others find what it has fetched. */
async function firstThenOthers<T>(world: World | undefined, fetch: () => Promise<T>): Promise<T> {
  if (!isFirst(world)) await world?.barrier();
  const fetched = await fetch();
  if (isFirst(world)) await world?.barrier();
  return fetched;
}

/** Runs every seed in a folder of its own, then averages them. */
async function runSeeds(example: Example, request: Request): Promise<void> {
  const { options, say } = request;
  const folder = folderOf(example, request);
  const seeds = Array.from({ length: options.seeds }, (_, i) => options.seed + i);
  for (const seed of seeds)
    await runStages(example, {
      ...request,
      options: { ...options, seed, folder: seedFolder(folder, seed) },
    });
  if (!isFirst(example.world)) return;
  for (const line of await seedsReport(request, folder, seeds)) say(line);
}

const folderOf = ({ runs }: Example, { options, settled }: Request): string =>
  options.folder ?? join(runs, `${settled.name}${options.smoke ? "-smoke" : ""}`);

async function runStages(example: Example, request: Request) {
  const { original, settled, stages, options, say } = request;
  const side = inputSizeOf(settled);
  const data = options.data
    ? await openData(options.data, settled.dataset, side)
    : generatedData(side);
  const recipe = options.smoke
    ? applySettings(smokeRecipe(original, data.train.numClasses), options.set)
    : settled;
  requireClasses(recipe, data);
  const folder = folderOf(example, request);
  const { world } = example;
  const executor = await executorOf(options.backend, options.precision, world);
  // rank 0 writes the folder; certification has a log for each rank
  const lock = isFirst(world) ? await lockRun(folder, options) : undefined;
  const signals = [example.signal, lock?.signal].filter((signal) => signal !== undefined);
  const run: Run = {
    recipe,
    original,
    folder,
    data,
    side,
    executor,
    key: key(options.seed),
    options,
    signal: AbortSignal.any(signals),
    say,
    world,
  };
  try {
    if (isFirst(world)) await claimFolder(folder, recipe, options.seed, options.precision);
    say(
      `${recipe.name} on ${data.train.name} (${data.layout}), ${run.executor.name}, in ${folder}`,
    );
    for (const stage of stages) await runStage(run, stage);
  } catch (error) {
    const told = explained(error, folder);
    await logLine(run, { event: "error", message: (told as Error).message }).catch(() => {});
    throw told;
  } finally {
    await lock?.release();
  }
}

/** Keeps other processes away from the folder; shards of one certification share it. */
async function lockRun(folder: string, { shard }: Options): Promise<FileLock> {
  await makeFolder("run folder", folder);
  const name = shard ? `shard-${shard.index}-of-${shard.count}` : "run";
  return lockFile(join(folder, `${name}.lock`), { caller: "run folder", guarded: folder });
}

async function fetchAll(example: Example, options: Options, say: Say): Promise<void> {
  await fetchFor(Object.values(example.recipes), fetchOptions(example, options, say));
}

/** The options with the images and the checkpoint that were fetched. */
async function withDownloads(example: Example, recipe: Recipe, options: Options, say: Say) {
  const { startsFrom, dataset } = recipe;
  if (options.from === undefined && !options.smoke) requirePublished(recipe);
  const needed = options.smoke ? { ...recipe, startsFrom: null } : recipe; // a tiny model begins afresh
  const found = await fetchFor([needed], fetchOptions(example, options, say));
  const from = options.from ?? (startsFrom === null ? undefined : found.results[startsFrom]);
  return { ...options, data: options.data ?? found.data[dataset], from };
}

type Say = (line: string) => void;

const fetchOptions = (example: Example, { data, from }: Options, say: Say) => ({
  data,
  from,
  say,
  downloads: example.downloads ?? officialDownloads,
  signal: example.signal,
});

async function runStage(run: Run, stage: Stage): Promise<void> {
  const { recipe } = run;
  if (stage === "report") await onFirst(run, () => reportStage(run));
  else if (!isClassifierRecipe(recipe) || stage === recipe.task) await trainStage(run);
  else if (stage === "evaluate") await onFirst(run, () => evaluateStage(run, recipe));
  else await certifyStage(run, recipe);
  await run.world?.barrier(); // what rank 0 has written is there for the next stage
}

async function onFirst({ world }: Run, work: () => Promise<unknown>): Promise<void> {
  if (isFirst(world)) await work();
}

function requireClasses(recipe: Recipe, { train }: Data): void {
  if (!isClassifierRecipe(recipe)) return;
  const { numClasses } = modelOf(recipe.training);
  if (numClasses === train.numClasses) return;
  throw new DmaeError(
    "argument",
    `data: ${train.name} has ${train.numClasses} classes, ${recipe.name} is for ${numClasses}; is it the right folder? If so, set model.numClasses=${train.numClasses}`,
  );
}

function listing(recipes: Readonly<Record<string, Recipe>>): string {
  const width = Math.max(...Object.keys(recipes).map((name) => name.length));
  return Object.values(recipes)
    .map(({ name, paper }) => `${name.padEnd(width)}  ${paper}`)
    .join("\n");
}
