import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

interface Field {
  readonly type: string;
  readonly required?: boolean;
  readonly enum?: readonly string[];
  readonly fields?: Fields;
  /** Name of the fields of this object, or of the items of this array. */
  readonly like?: string;
  readonly items?: string;
  readonly values?: "quantity";
}
type Fields = Readonly<Record<string, Field>>;

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
const schema = JSON.parse(read("mpijob-v2beta1.json"));
const job = parse(read("mpijob.yaml"));

const typeOf = (value: unknown) => {
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
};

/** What is wrong with an object, one line each. */
function faults(value: Readonly<Record<string, unknown>>, fields: Fields, path = ""): string[] {
  const missing = Object.keys(fields).filter((name) => fields[name]!.required && !(name in value));
  return [
    ...missing.map((name) => `${path}${name} is missing`),
    ...Object.entries(value).flatMap(([name, inner]) => {
      const field = fields[name];
      return field ? faultsOf(inner, field, `${path}${name}`) : [`${path}${name} is unknown`];
    }),
  ];
}

function faultsOf(value: unknown, field: Field, path: string): string[] {
  if (typeOf(value) !== field.type) return [`${path} is no ${field.type}`];
  if (field.enum && !field.enum.includes(value as string)) return [`${path} is not of the list`];
  const known = field.fields ?? (field.like ? schema[field.like] : undefined);
  if (known) return faults(value as Record<string, unknown>, known, `${path}.`);
  if (field.values)
    return Object.entries(value as Record<string, string>).flatMap(([name, text]) =>
      new RegExp(schema[field.values!]).test(text) ? [] : [`${path}.${name} is no quantity`],
    );
  if (field.items === "string")
    return (value as unknown[]).every((item) => typeof item === "string")
      ? []
      : [`${path} holds other things than strings`];
  if (field.items)
    return (value as Record<string, unknown>[]).flatMap((item, i) =>
      faults(item, schema[field.items!], `${path}[${i}].`),
    );
  return [];
}

describe("mpijob.yaml", () => {
  it("has the fields of the published schema, and no others", () => {
    expect(faults(job, schema.fields)).toEqual([]);
  });

  it("is checked by rules that find faults", () => {
    const wrong = structuredClone(job);
    wrong.spec.slotsPerWorker = "2";
    wrong.spec.runPolicy.cleanPodPolicy = "Some";
    wrong.spec.mpiReplicaSpecs.Worker.template.spec.containers[0].resources.limits.cpu = "eight";
    wrong.spec.mpiReplicaSpecs.Launcher.template.spec.containers[0].argz = [];
    delete wrong.spec.mpiReplicaSpecs.Worker.template.spec.volumes[0].name;
    expect(faults(wrong, schema.fields)).toEqual([
      "spec.slotsPerWorker is no integer",
      "spec.runPolicy.cleanPodPolicy is not of the list",
      "spec.mpiReplicaSpecs.Launcher.template.spec.containers[0].argz is unknown",
      "spec.mpiReplicaSpecs.Worker.template.spec.containers[0].resources.limits.cpu is no quantity",
      "spec.mpiReplicaSpecs.Worker.template.spec.volumes[0].name is missing",
    ]);
  });

  it("starts as many ranks as its workers have slots", () => {
    const { slotsPerWorker, mpiReplicaSpecs } = job.spec;
    const { args } = mpiReplicaSpecs.Launcher.template.spec.containers[0];
    expect(Number(args[args.indexOf("-n") + 1])).toBe(
      slotsPerWorker * mpiReplicaSpecs.Worker.replicas,
    );
  });
});
