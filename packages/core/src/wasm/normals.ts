import { COSINE, HALF_ROOT, LN2, LOG, ONE, SINE } from "../polynomials.ts";
import type { Code, WasmFunction } from "./assembler.ts";
import * as w from "./assembler.ts";
import type { ConstantPool } from "./layout.ts";
import { FREE_LOCAL, valuesFunction, word } from "./values.ts";

const names = ["u", "shifted", "f", "s", "z", "z2", "z4", "r", "radius"] as const;
const more = ["turn", "g", "sine", "cosine", "sign", "swap"] as const;
type Name = (typeof names)[number] | (typeof more)[number];
const all: readonly Name[] = [...names, ...more];

const get = (name: Name): Code => w.get(FREE_LOCAL + all.indexOf(name));
const set = (name: Name, value: Code): Code => w.set(FREE_LOCAL + all.indexOf(name), value);

/** The Box-Muller transform, operation by operation as in `box-muller.ts`. */
export function normalsFunction(pool: ConstantPool): WasmFunction {
  return valuesFunction("normals", {
    code: [...radius(pool), ...angle(pool), ...turn(pool)],
    locals: all.length,
    first: w.select(get("sine"), get("cosine"), get("swap")),
    second: w.select(get("cosine"), get("sine"), get("swap")),
  });
}

/** An unsigned word as a number, and a half. */
const half = (pool: ConstantPool, low: Code) => w.add(w.fromUnsigned(low), pool.number(0.5));

/** Sets `radius` to sqrt(-2 log u) from words 0 and 1. */
function radius(pool: ConstantPool): Code[] {
  const c = (value: number) => pool.number(value);
  const high = w.multiply(w.fromUnsigned(word(0)), c(2 ** 32));
  const mantissa = w.i64x2Add(
    w.and(get("shifted"), pool.integer(0xfffff, 0xffffffff)),
    pool.integer(HALF_ROOT, 0),
  );
  // the exponent's bits below those of 2^52 make the number 2^52 + exponent
  const exponent = w.subtract(
    w.or(w.i64x2ShiftRight(get("shifted"), 52), pool.integer(0x43300000, 0)),
    c(2 ** 52 + 1023),
  );
  const fraction = w.subtract(get("f"), w.multiply(get("s"), w.subtract(get("f"), get("r"))));
  return [
    set("u", w.multiply(w.add(high, half(pool, word(1))), c(2 ** -64))),
    set("shifted", w.i64x2Add(get("u"), pool.integer(ONE - HALF_ROOT, 0))),
    set("f", w.subtract(mantissa, c(1))),
    set("s", w.divide(get("f"), w.add(c(2), get("f")))),
    ...powers("s"),
    set("r", w.multiply(get("z"), polynomial(pool, LOG))),
    set("radius", w.root(w.multiply(c(-2), w.add(w.multiply(exponent, c(LN2)), fraction)))),
  ];
}

/** Sets `sine` and `cosine` to the radius times those of g pi / 2, from words 2 and 3. */
function angle(pool: ConstantPool): Code[] {
  const high = w.fromSigned(w.i32x4ShiftLeft(get("turn"), 2));
  const low = w.multiply(half(pool, word(3)), pool.number(2 ** -62));
  return [
    set("turn", word(2)),
    set("g", w.add(w.multiply(high, pool.number(2 ** -32)), low)),
    ...powers("g"),
    set("sine", w.multiply(get("radius"), w.multiply(get("g"), polynomial(pool, SINE)))),
    set("cosine", w.multiply(get("radius"), polynomial(pool, COSINE))),
  ];
}

/** Negates `sine` and `cosine` and sets `swap`, as the quarter turn in the top bits of word 2 says. */
function turn(pool: ConstantPool): Code[] {
  const negative = (bits: Code) => w.and(bits, pool.integer(0x80000000, 0));
  return [
    set("turn", w.i64x2Extend(get("turn"))),
    set("sign", w.i64x2ShiftLeft(get("turn"), 32)),
    set("swap", w.i64x2ShiftLeft(get("turn"), 33)),
    set("cosine", w.xor(get("cosine"), negative(get("sign")))),
    set("sine", w.xor(get("sine"), negative(w.xor(get("sign"), get("swap"))))),
    set("swap", w.i64x2ShiftRightSigned(get("swap"), 63)),
  ];
}

/** Sets z, z2 and z4 to the square of a local, its square and the square of that. */
const powers = (name: Name): Code[] => [
  set("z", w.multiply(get(name), get(name))),
  set("z2", w.multiply(get("z"), get("z"))),
  set("z4", w.multiply(get("z2"), get("z2"))),
];

/** c0 + c1 z + (c2 + c3 z) z2 + (c4 + c5 z + (c6 + c7 z) z2) z4, without c7 where there is none. */
function polynomial(pool: ConstantPool, coefficients: readonly number[]): Code {
  const c = (i: number) => pool.number(coefficients[i] as number);
  const line = (i: number) => w.add(c(i), w.multiply(c(i + 1), get("z")));
  const last = coefficients.length === 8 ? line(6) : c(6);
  const upper = w.add(line(4), w.multiply(last, get("z2")));
  return w.add(w.add(line(0), w.multiply(line(2), get("z2"))), w.multiply(upper, get("z4")));
}
