import { binary, cast, unary, where } from "../graph/build.ts";
import type { ElementType, Graph, Value } from "../graph/graph.ts";
import { refuseUnsupported } from "../graph/refuse.ts";
import type { Inputs, Translate } from "./register.ts";

/** The dtype rules of TensorFlow.js' cpu kernels, where ONNX's operators know fewer types. */

/**
 * float32 to int32 as JavaScript's typed arrays do it: NaN and infinities give 0, what is too large
 * wraps around (through int64, of which a cast to int32 takes the low bits; ONNX Runtime would make one
 * cast of two in a row).
 */
export function toInteger(g: Graph, x: Value): Value {
  if (x.dtype !== "float32" || x.constant) return cast(g, x, "int32");
  const inRange = binary(g, "Less", unary(g, "Abs", x), g.scalar("float32", 2 ** 63));
  const wide = where(g, inRange, cast(g, x, "int64"), g.scalar("int64", 0));
  return cast(g, wide, "int32");
}

/** `tf.cast`. */
export function converted(g: Graph, x: Value, dtype: ElementType): Value {
  if (x.dtype !== "float32") return cast(g, x, dtype);
  if (dtype === "int32") return toInteger(g, x);
  if (dtype !== "bool") return cast(g, x, dtype);
  return unary(g, "Not", binary(g, "Equal", x, g.scalar("float32", 0)));
}

/** float32 results in an array of `dtype`, as kernels that compute in float64 leave them: truncated. */
export function stored(g: Graph, x: Value, dtype: ElementType): Value {
  if (dtype === "float32") return x;
  const whole = toInteger(g, x);
  return dtype === "bool" ? cast(g, whole, "bool") : whole;
}

const mapped = (inputs: Inputs, change: (value: Value) => Value): Inputs =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, change(value)]));

/** Computes in float32 and stores in the dtype of the first input. */
export const throughFloats =
  (translate: Translate): Translate =>
  (g, inputs, attrs) => {
    const { dtype } = Object.values(inputs)[0]!;
    const floats = mapped(inputs, (v) => cast(g, v, "float32"));
    return stored(g, translate(g, floats, attrs) as Value, dtype);
  };

/** Computes with bools as int32; the result stays int32, or becomes bool again. */
export const throughIntegers =
  (translate: Translate, result: "int32" | "bool"): Translate =>
  (g, inputs, attrs) => {
    if (Object.values(inputs).some((v) => v.dtype !== "bool")) return translate(g, inputs, attrs);
    const whole = translate(
      g,
      mapped(inputs, (v) => cast(g, v, "int32")),
      attrs,
    );
    const back = (v: Value) => (result === "bool" && v.dtype === "int32" ? cast(g, v, "bool") : v);
    return Array.isArray(whole) ? (whole as Value[]).map(back) : back(whole as Value);
  };

/** Leaves bools as they are. */
export const bySelfOnBools =
  (translate: Translate): Translate =>
  (g, inputs, attrs) =>
    inputs.x!.dtype === "bool" ? inputs.x! : translate(g, inputs, attrs);

/** Refuses bools, whose sums TensorFlow.js keeps as bools that hold 2. */
export const notOnBools =
  (translate: Translate): Translate =>
  (g, inputs, attrs) => {
    if (Object.values(inputs)[0]!.dtype === "bool")
      refuseUnsupported(
        "bools leave 0 and 1 here in TensorFlow.js; cast to int32 first, or use logicalOr, logicalAnd, logicalXor",
      );
    return translate(g, inputs, attrs);
  };
