import { show } from "../checks.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import type { LogRow } from "./log-row.ts";

/** What a row states of an image; label and prediction may be left out. */
export type Statement = Pick<LogRow, "radius" | "correct"> &
  Partial<Pick<LogRow, "label" | "predict">>;

/** What is wrong with the statement of a row, if anything: it has a radius, and it is correct where the label is predicted. */
export function rowFault({ label, predict, radius, correct }: Statement): string | undefined {
  if (!(typeof radius === "number" && radius >= 0))
    return `radius must be a number >= 0, got ${show(radius)}`;
  if (correct !== 0 && correct !== 1) return `correct must be 0 or 1, got ${show(correct)}`;
  if (predict === undefined) return undefined;
  const abstained = predict === ABSTAIN;
  const expected = label === undefined ? correct : predict === label ? 1 : 0;
  if (correct !== (abstained ? 0 : expected))
    return `correct is ${correct}, but the prediction is ${predict} and the label ${label}${abstained ? "; to abstain is not correct" : ""}`;
  if (abstained && radius !== 0)
    return `radius must be 0 where the prediction is ${predict}, which abstains, got ${radius}`;
  return undefined;
}
