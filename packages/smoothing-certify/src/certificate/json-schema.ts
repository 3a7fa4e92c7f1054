import { show } from "../checks.ts";

/** The words of JSON Schema (draft 2020-12) that `certificate.schema.json` uses. */
export interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly maxProperties?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

/** The first thing that is wrong with a JSON value, as `path must be …, got …`; undefined where it fits. */
export function schemaProblem(value: unknown, schema: JsonSchema, path = "it"): string | undefined {
  const { type } = schema;
  const found = typeOf(value);
  if (type && type !== found && !(type === "number" && found === "integer"))
    return `${path} must be ${/^[aio]/.test(type) ? "an" : "a"} ${type}, got ${show(value)}`;
  const choices = schema.enum ?? ("const" in schema ? [schema.const] : undefined);
  if (choices && !choices.includes(value))
    return `${path} must be ${choices.map(show).join(" or ")}, got ${short(value)}`;
  if (typeof value === "number") return numberProblem(value, schema, path);
  if (typeof value === "string") return textProblem(value, schema, path);
  if (Array.isArray(value)) return listProblem(value, schema, path);
  return type === "object" ? objectProblem(value as object, schema, path) : undefined;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

const short = (value: unknown) => show(typeof value === "string" ? value.slice(0, 80) : value);

function numberProblem(value: number, schema: JsonSchema, path: string): string | undefined {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema;
  const fits = value >= minimum && value <= maximum;
  if (fits && value > exclusiveMinimum && value < exclusiveMaximum) return undefined;
  const rules = [
    schema.minimum !== undefined && `at least ${minimum}`,
    schema.maximum !== undefined && `at most ${maximum}`,
    schema.exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
    schema.exclusiveMaximum !== undefined && `below ${exclusiveMaximum}`,
  ];
  return `${path} must be ${rules.filter(Boolean).join(" and ") || "finite"}, got ${value}`;
}

function textProblem(value: string, schema: JsonSchema, path: string): string | undefined {
  const { minLength = 0, maxLength = Infinity, pattern = "" } = schema;
  if (value.length < minLength || value.length > maxLength)
    return `${path} must have ${minLength} to ${maxLength} characters, got ${value.length}`;
  if (!new RegExp(pattern, "u").test(value))
    return `${path} must match ${pattern}, got ${short(value)}`;
  return undefined;
}

function listProblem(
  value: readonly unknown[],
  { minItems = 0, maxItems = Infinity, items = {} }: JsonSchema,
  path: string,
): string | undefined {
  if (value.length < minItems || value.length > maxItems)
    return `${path} must have ${minItems} to ${maxItems} elements, got ${value.length}`;
  return firstOf(value.entries(), ([i, item]) => schemaProblem(item, items, `${path}[${i}]`));
}

function objectProblem(value: object, schema: JsonSchema, path: string): string | undefined {
  const { properties = {}, required = [], additionalProperties = true } = schema;
  const name = (key: string) => (path === "it" ? key : `${path}.${key}`);
  const missing = required.find((key) => !Object.hasOwn(value, key));
  if (missing) return `${name(missing)} is missing`;
  const entries = Object.entries(value);
  if (entries.length > (schema.maxProperties ?? Infinity))
    return `${path} must have at most ${schema.maxProperties} properties, got ${entries.length}`;
  return firstOf(entries.values(), ([key, item]) => {
    const known = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (known === false) return `${name(key.slice(0, 80))} is unknown`;
    return typeof known === "object"
      ? schemaProblem(item, known, name(key.slice(0, 80)))
      : undefined;
  });
}

function firstOf<T>(
  items: Iterable<T>,
  problem: (item: T) => string | undefined,
): string | undefined {
  for (const item of items) {
    const found = problem(item);
    if (found) return found;
  }
  return undefined;
}
