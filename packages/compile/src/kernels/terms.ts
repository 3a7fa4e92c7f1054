import { uniformValue } from "../graph/evaluate.ts";
import type { Value } from "../graph/graph.ts";
import type { HalfType } from "../graph/half-numbers.ts";
import { roundingOperator, widenedFrom } from "../graph/halve-precision.ts";
import { literal } from "./kernel.ts";
import { OPERATORS } from "./operators.ts";
import { type Region, type Role, roleOf, type Task } from "./regions.ts";

/** A number within a kernel. */
export interface Term {
  readonly id: number;
  /** One per element, per row of the matrix, or one for all. */
  readonly extent: "full" | "column" | "scalar";
  /** The walk over a row in which it is known (full), or before which it is. */
  readonly phase: number;
  /** C that computes it from its operands' names; of no use for loads. */
  readonly code: (...operands: string[]) => string;
  readonly operands: readonly Term[];
  /** The operand of the kernel that it is loaded from, and how that lies in the matrix. */
  readonly load: { readonly input: number; readonly role: Role } | null;
  /** For a column: what it is reduced from, and how. */
  readonly reduce: "sum" | "max" | null;
}

/** The terms of a region. Equal ones are one. */
export class Terms {
  readonly all: Term[] = [];
  private readonly known = new Map<string, Term>();

  private add(key: string, term: Omit<Term, "id">): Term {
    const found = this.known.get(key);
    if (found) return found;
    const made = { id: this.all.length, ...term };
    this.all.push(made);
    this.known.set(key, made);
    return made;
  }

  constant(value: number): Term {
    const code = () => literal(value);
    const none = { operands: [], load: null, reduce: null };
    return this.add(`c${literal(value)}`, { extent: "scalar", phase: 0, code, ...none });
  }

  load(input: number, role: Role): Term {
    const extent = role === "row" ? "full" : role;
    const load = { input, role };
    const none = { code: () => "", operands: [], reduce: null };
    return this.add(`l${input}${role}`, { extent, phase: 0, load, ...none });
  }

  compute(op: string, ...operands: Term[]): Term {
    const extents = operands.map((t) => t.extent);
    const extent = (["full", "column", "scalar"] as const).find((e) => extents.includes(e))!;
    const phase = Math.max(...operands.map((t) => t.phase));
    const code = OPERATORS[op] as Term["code"];
    const key = `${op}${operands.map((t) => t.id)}`;
    return this.add(key, { extent, phase, code, operands, load: null, reduce: null });
  }

  reduce(how: "sum" | "max", of: Term): Term {
    const code = (a: string) => a;
    const key = `${how}${of.id}`;
    const phase = of.phase + 1;
    return this.add(key, {
      extent: "column",
      phase,
      code,
      operands: [of],
      load: null,
      reduce: how,
    });
  }
}

type LayerNorm = Task & { readonly kind: "layerNorm" };

/**
 * Writes a region in terms; returns one for each of its values, and lists what it loads in `inputs`. What other regions make of
 * `again` it computes itself.
 */
export function termsOf(
  region: Region,
  terms: Terms,
  inputs: Value[],
  again: ReadonlySet<Value>,
): Map<Value, Term> {
  const { space } = region;
  const of = new Map<Value, Term>();
  const read = (value: Value, role: Role | null = roleOf(value.shape, space)): Term => {
    const source = widenedFrom(value) ?? value;
    const known = of.get(source);
    if (known) return known;
    const fill = uniformValue(value);
    if (fill !== null) return terms.constant(fill);
    if (again.has(value)) {
      const { op, inputs: sources } = value.node!;
      const term = terms.compute(op, ...sources.map((v) => read(v!)));
      of.set(value, term);
      return term;
    }
    if (!inputs.includes(source)) inputs.push(source);
    return terms.load(inputs.indexOf(source), role!);
  };
  const mean = (x: Term) =>
    terms.compute("Div", terms.reduce("sum", x), terms.constant(space.columns));
  const layerNorm = (x: Term, gain: Term, bias: Term, { epsilon }: LayerNorm): Term[] => {
    const average = mean(x);
    const centred = terms.compute("Sub", x, average);
    const variance = mean(terms.compute("Mul", centred, centred));
    const shifted = terms.compute("Add", variance, terms.constant(epsilon));
    const inverse = terms.compute("Reciprocal", terms.compute("Sqrt", shifted));
    const scaled = terms.compute("Mul", terms.compute("Mul", centred, inverse), gain);
    return [terms.compute("Add", scaled, bias), average, inverse];
  };
  for (const { node, task } of region.members) {
    const x = read(node.inputs[0]!);
    const results = (): Term[] => {
      switch (task.kind) {
        case "elementwise":
          if (node.op === "Cast") {
            const type = node.outputs[0]!.dtype as HalfType;
            return [terms.compute(roundingOperator(type), x)];
          }
          return [terms.compute(node.op, ...node.inputs.map((v) => read(v!)))];
        case "reduceRows":
          if (task.how === "mean") return [mean(x)];
          return [terms.reduce(task.how, x)];
        case "dotRows": {
          const products = terms.compute("Mul", x, read(node.inputs[1]!, "row"));
          return [terms.compute("Mul", terms.reduce("sum", products), terms.constant(task.alpha))];
        }
        case "sumColumns":
          return [x];
        case "softmax": {
          const shifted = terms.compute("Sub", x, terms.reduce("max", x));
          const e = terms.compute("Exp", shifted);
          return [terms.compute("Div", e, terms.reduce("sum", e))];
        }
        case "layerNorm":
          return layerNorm(x, read(node.inputs[1]!, "row"), read(node.inputs[2]!, "row"), task);
      }
    };
    results().forEach((term, i) => {
      of.set(node.outputs[i]!, term);
    });
  }
  return of;
}
