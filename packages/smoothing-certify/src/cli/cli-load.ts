import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DmaeError, type ImageDataset } from "@dmae/core";
import type { Classifier } from "../classifier/classifier.ts";
import { loadInWorkers } from "../classifier/classifier-workers.ts";
import { fromOnnx } from "../classifier/from-onnx.ts";
import { fromModelJson } from "../classifier/model-json.ts";
import { checkPreprocessing, type Preprocessing } from "../classifier/preprocessing.ts";
import { sha256 } from "../classifier/sha256.ts";
import type { Arguments } from "./cli-arguments.ts";
import { preprocessing } from "./cli-options.ts";

/** A classifier, its name for the log and how to end it. */
export interface LoadedModel {
  readonly classifier: Classifier;
  readonly name: string;
  /** Hash of the file, where no wrapper knows it. */
  readonly fingerprint?: string;
  dispose(): Promise<void>;
}

/** Runs `work` with what `--data` and `--model` name. */
export async function withModel(
  args: Arguments,
  work: (model: LoadedModel, dataset: ImageDataset) => Promise<void>,
): Promise<void> {
  const dataset = await loadData(args);
  const model = await loadModel(args);
  try {
    await work(model, dataset);
  } finally {
    await model.dispose();
  }
}

/** Loads what `--model` names; `known` is how it wants its images where no option says so. */
export async function loadModel(args: Arguments, known?: Preprocessing): Promise<LoadedModel> {
  const file = args.needed("model");
  if (!existsSync(file)) throw new DmaeError("file", `--model: there is no file ${file}`, { file });
  const name = basename(file);
  const kind = extname(file);
  const ofFile = { ".onnx": fromOnnx, ".json": fromModelJson }[kind];
  if (ofFile) {
    args.refuse(["export", "workers"], "is for a module that exports a classifier; leave it out");
    const classifier = await ofFile(file, preprocessingOf(args, known));
    return { classifier, name, dispose: () => classifier.dispose() };
  }
  if (![".js", ".mjs", ".cjs", ".ts"].includes(kind))
    throw new DmaeError(
      "argument",
      `--model must be an .onnx file, a model.json of TensorFlow.js or a .js module that exports a classifier, got ${file}; wrap other models in a module`,
    );
  args.refuse(preprocessing, "is for model files; a module prepares its own input");
  const exported = args.get("export") ?? "default";
  const workers = args.get("workers");
  const fingerprint = await sha256(readFileSync(file));
  if (workers !== undefined) {
    const loaded = await loadInWorkers(resolve(file), { export: exported, workers });
    // in threads or not, it is the same classifier for a log
    const classifier = { ...loaded.classifier, fingerprint: loaded.identity };
    return { classifier, name, fingerprint, dispose: () => classifier.dispose() };
  }
  const module = await importModule(file, "--model");
  const classifier = member(module, exported, file) as Classifier;
  return { classifier, name, fingerprint, dispose: async () => {} };
}

/** How the model wants its images. */
function preprocessingOf(args: Arguments, known?: Preprocessing): Preprocessing {
  if (known && !preprocessing.some((option) => args.has(option))) return known;
  const { size, ...others } = args.pick(...preprocessing);
  const side = (size?.length === 1 ? size[0] : size) as Preprocessing["size"];
  const given = { ...others, size: side };
  checkPreprocessing("--model", given);
  return given;
}

async function importModule(file: string, option: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(resolve(file)).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `${option}: cannot load ${file}: ${reason}`, { file }, { cause });
  }
}

function member(module: Record<string, unknown>, name: string, file: string): unknown {
  if (name in module) return module[name];
  throw new DmaeError(
    "argument",
    `${file} exports ${Object.keys(module).join(", ") || "nothing"}, but not ${name}; choose with --export`,
  );
}

/** Loads what `--data` names; the official data sets come from `@dmae/datasets`. */
export async function loadData(args: Arguments): Promise<ImageDataset> {
  const text = args.needed("data");
  const split = args.get("split") ?? "test";
  const isFolder = existsSync(text) && statSync(text).isDirectory();
  if (isFolder)
    args.refuse(["split"], "is for data sets with two splits; name a folder with --data");
  else args.refuse(["image-size"], "is for an image folder or --image; leave it out");
  if ([".js", ".mjs", ".ts"].includes(extname(text))) {
    const found = member(await importModule(text, "--data"), "default", text);
    return (typeof found === "function" ? await found(split) : found) as ImageDataset;
  }
  const datasets = await importDatasets();
  const [kind = "", folder = ""] = text.includes(":") ? splitOnce(text) : [text, ""];
  if (kind === "fashion-mnist" && text !== kind)
    throw new DmaeError(
      "argument",
      `--data: fashion-mnist is the data of the package @dmae/fashion-mnist and takes no folder, got ${text}; say --data fashion-mnist, or idx:DIR for IDX files of your own`,
    );
  if (kind === "fashion-mnist") return datasets.fashionMnist({ split });
  if (kind === "cifar10") return datasets.loadCifar10(needFolder(kind, folder), { split });
  if (kind === "cifar100") return datasets.loadCifar100(needFolder(kind, folder), { split });
  if (kind === "idx") return datasets.loadIdx(needFolder(kind, folder), { split });
  if (!isFolder)
    throw new DmaeError(
      "argument",
      `--data must be fashion-mnist, cifar10:DIR, cifar100:DIR, idx:DIR, a module or an image folder, got ${text}`,
    );
  const size = args.get("image-size") ?? 224;
  const { evaluationTransform } = await import("@dmae/datasets/transforms");
  return datasets.loadImageFolder(text, { transform: evaluationTransform(size) });
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf(":");
  return [text.slice(0, at), text.slice(at + 1)];
}

function needFolder(kind: string, folder: string): string {
  if (folder !== "") return folder;
  throw new DmaeError("argument", `--data: say where the files lie, ${kind}:DIR`);
}

async function importDatasets(): Promise<typeof import("@dmae/datasets")> {
  try {
    return await import("@dmae/datasets");
  } catch (cause) {
    throw new DmaeError(
      "unsupported",
      "--data: this data set is read by @dmae/datasets; install it with npm install @dmae/datasets",
      {},
      { cause },
    );
  }
}
