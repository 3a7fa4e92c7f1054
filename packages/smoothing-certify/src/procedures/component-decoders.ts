import { DmaeError } from "@dmae/core";
import { checkOneOf } from "../checks.ts";
import type { Outputs } from "../classifier/outputs.ts";
import type { ComponentDecoder } from "./components-procedure.ts";

/** What a model of many components returns. */
export type LogitsLayout = "logits" | "logits-first" | "classes";

/** The class with the largest logit, the first of several, or the class id that the model gives. */
export function mostLikely(
  caller: string,
  numClasses: number,
  layout: LogitsLayout,
): ComponentDecoder {
  if (layout === "classes") return classIds(caller, numClasses);
  checkOneOf(caller, "output", layout, ["logits", "logits-first", "classes"]);
  const isFirst = layout === "logits-first";
  return {
    numClasses,
    shape(rowShape) {
      const isFlat = rowShape.length === 1 && rowShape[0]! % numClasses === 0;
      if (isFlat) return [rowShape[0]! / numClasses];
      const axis = isFirst ? 0 : rowShape.length - 1;
      if (rowShape[axis] === numClasses) return rowShape.filter((_, i) => i !== axis);
      throw new DmaeError(
        "classifier",
        `${caller}: each answer must have numClasses = ${numClasses} logits along its ${isFirst ? "first" : "last"} axis, got shape [${rowShape}]; output says where the classes are`,
        { rowShape, numClasses },
      );
    },
    decode({ logits, numClasses: width }, row, out) {
      const [step, next] = isFirst ? [out.length, 1] : [1, numClasses];
      for (let i = 0; i < out.length; i++) {
        const start = row * width + i * next;
        let best = 0;
        for (let c = 1; c < numClasses; c++)
          if (logits![start + c * step]! > logits![start + best * step]!) best = c;
        out[i] = best;
      }
    },
  };
}

function classIds(caller: string, numClasses: number): ComponentDecoder {
  return {
    numClasses,
    shape: (rowShape) => rowShape,
    decode({ logits, numClasses: width }, row, out) {
      for (let i = 0; i < out.length; i++) {
        const id = logits![row * width + i]!;
        if (!Number.isInteger(id) || id < 0 || id >= numClasses)
          throw new DmaeError(
            "classifier",
            `${caller}: the model returned class ${id} for component ${i}; classes are the integers 0 … ${numClasses - 1}`,
            { component: i, received: id },
          );
        out[i] = id;
      }
    },
  };
}

/** Class 1 where a score is above the threshold, else 0. */
export function aboveThreshold(threshold: number): ComponentDecoder {
  return {
    numClasses: 2,
    shape: (rowShape) => rowShape,
    decode({ logits, numClasses: width }: Outputs, row, out) {
      for (let i = 0; i < out.length; i++) out[i] = logits![row * width + i]! > threshold ? 1 : 0;
    },
  };
}
