import type { Code, WasmFunction } from "./assembler.ts";
import * as w from "./assembler.ts";
import { layout } from "./layout.ts";

/** Parameters: number of values, scale and mean; then locals. */
const local = { count: 0, scale: 1, mean: 2, i: 3, at: 4, factor: 5, means: 6 } as const;

/** Functions (count, scale, mean) that write float32 results mean + scale * value. */
export function shiftFunctions(): WasmFunction[] {
  return [
    shiftFunction("shiftByNumber", () => w.get(local.means)),
    shiftFunction("shiftByArray", (at) => w.fromFloat32(w.load64(at, layout.means))),
  ];
}

function shiftFunction(name: string, mean: (at: Code) => Code): WasmFunction {
  const { count, i, at, factor } = local;
  const pair = (offset: number) => {
    const value = w.load(w.i32Add(w.get(at), w.get(at)), layout.values + 2 * offset);
    const scaled = w.multiply(w.get(factor), value);
    return w.toFloat32(w.add(mean(w.i32Add(w.get(at), w.i32(offset))), scaled));
  };
  const body = [
    w.set(at, w.i32Multiply(w.get(i), w.i32(4))),
    w.store(w.get(at), w.shuffle(pair(0), pair(8), [0, 1, 4, 5]), layout.results),
    w.set(i, w.i32Add(w.get(i), w.i32(4))),
  ];
  return {
    name,
    parameters: [w.types.i32, w.types.f64, w.types.f64],
    locals: [w.types.i32, w.types.i32, w.types.v128, w.types.v128],
    body: [
      ...w.set(factor, w.f64x2Splat(w.get(local.scale))),
      ...w.set(local.means, w.f64x2Splat(w.get(local.mean))),
      ...w.loop(body, w.i32Less(w.get(i), w.get(count))),
    ],
  };
}
