import { type ConvNetName, createConvNet } from "@dmae/convnet";
import { DmaeError } from "@dmae/core";
import { nearestNames } from "@dmae/core/checks";
import { deepFreeze } from "@dmae/train/tasks";
import { createViT, type ViTName } from "@dmae/vit";
import type { Recipe } from "./recipe.ts";

/**
 * The recipe with `field=value` settings applied. A field is a path (`training.epochs`) or its end where that is
 * unambiguous (`epochs`, `n0`); a value is JSON, or text.
 *
 * @throws DmaeError "argument" for an unknown field (with the nearest names), an ambiguous one, or a value of another type
 */
export function applySettings(recipe: Recipe, settings: readonly string[]): Recipe {
  const changed = structuredClone(recipe) as Recipe;
  for (const setting of settings) {
    const [field, text] = splitSetting(setting);
    const path = findPath(recipe, field);
    const keys = path.split(".");
    const last = keys.pop()!;
    const parent = keys.reduce<Record<string, unknown>>(
      (node, key) => (node[key] ??= {}) as Record<string, unknown>,
      changed as unknown as Record<string, unknown>,
    );
    const value = parseValue(path, text, parent[last]);
    const isName = path === "training.model" && typeof value === "string";
    parent[last] = isName ? resized(changed.training.model as object, value) : value;
  }
  return deepFreeze(changed);
}

/** The model of a recipe with the sizes of a named one; images and classes stay. */
function resized(model: object, name: string): object {
  if ("blocks" in model) {
    const { width, blocks } = createConvNet(name as ConvNetName).config;
    return { ...model, name, width, blocks };
  }
  const { width, depth, heads, patchSize } = createViT(name as ViTName).config;
  return { ...model, width, depth, heads, patchSize };
}

/** Every path that can be set. */
export function settablePaths(recipe: Recipe): string[] {
  const names = ["name", "training.name", "training.method.name", "training.model.name"];
  const facts = ["paper", "dataset", "task", "startsFrom", "published", "training.source"];
  const fixed = new Set([...names, ...facts]);
  return leaves(recipe as unknown as Record<string, unknown>).filter((path) => !fixed.has(path));
}

/** `path: before -> after` of every field in which two recipes differ. */
export function changedFields(before: Recipe, after: Recipe): string[] {
  const value = (recipe: Recipe, path: string) =>
    JSON.stringify(
      path
        .split(".")
        .reduce<unknown>(
          (node, key) => (node as Record<string, unknown> | undefined)?.[key],
          recipe,
        ),
    );
  const paths = new Set([...settablePaths(before), ...settablePaths(after)]);
  return [...paths]
    .filter((path) => value(before, path) !== value(after, path))
    .filter((path) => !isCovered(value(before, path), value(after, path)))
    .map((path) => `${path}: ${value(before, path)} -> ${value(after, path)}`);
}

/** True where other paths tell the change: the fields of a record, or the record that came or went as a whole. */
function isCovered(before: string | undefined, after: string | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  if (!before.startsWith("{") || !after.startsWith("{")) return false;
  return JSON.parse(before).name === JSON.parse(after).name; // another method or network is told whole
}

function splitSetting(setting: string): [field: string, value: string] {
  const at = setting.indexOf("=");
  if (at < 1)
    throw new DmaeError("argument", `--set: must read field=value, e.g. epochs=1, got ${setting}`);
  return [setting.slice(0, at).trim(), setting.slice(at + 1).trim()];
}

function findPath(recipe: Recipe, field: string): string {
  const paths = settablePaths(recipe);
  if (paths.includes(field)) return field;
  const found = paths.filter((path) => path.endsWith(`.${field}`));
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new DmaeError(
      "argument",
      `--set: ${field} could be ${found.join(" or ")}; write the path out`,
    );
  throw new DmaeError(
    "argument",
    `--set: ${recipe.name} has no field ${field}; the nearest are ${nearestNames(field, paths).join(", ")}`,
    { field, paths },
  );
}

function parseValue(path: string, text: string, before: unknown): unknown {
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {
    // a name such as vit_small_patch16
  }
  const kind = (v: unknown) => (v === null ? "null" : Array.isArray(v) ? "list" : typeof v);
  const [old, now] = [kind(before), kind(value)];
  const fits =
    old === now ||
    now === "null" ||
    ["undefined", "null"].includes(old) ||
    (path.endsWith(".sigma") && now === "list") ||
    (path === "training.model" && now === "string");
  if (fits) return value;
  throw new DmaeError(
    "argument",
    `--set: ${path} must be a ${old} like ${JSON.stringify(before)}, got ${text}`,
  );
}

/** Paths of all values; a list is one value. */
function leaves(node: Readonly<Record<string, unknown>>, prefix = ""): string[] {
  return Object.entries(node).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? [
          ...(isSettableWhole(name) ? [prefix + name] : []),
          ...leaves(value as Record<string, unknown>, `${prefix}${name}.`),
        ]
      : [prefix + name],
  );
}

/** Records that may also be set as a whole, e.g. to null. */
const isSettableWhole = (name: string) =>
  ["method", "augmentation", "model", "ensemble", "sgd"].includes(name);
