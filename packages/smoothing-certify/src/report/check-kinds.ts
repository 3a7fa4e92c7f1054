import { DmaeError } from "@dmae/core";
import { kindName, type RadiusKind, sameKind } from "./radius-kind.ts";

/** Throws where the radii of logs are of several kinds. */
export function checkKinds(
  caller: string,
  logs: readonly { readonly name: string; readonly kind: RadiusKind }[],
): void {
  const [first] = logs;
  const other = logs.find(({ kind }) => !sameKind(kind, first!.kind));
  if (!first || !other) return;
  throw new DmaeError(
    "argument",
    `${caller}: the radii of all logs must be of one kind, got ${kindName(first.kind)} in ${first.name} and ${kindName(other.kind)} in ${other.name}; give one kind at a time${fixOf(first.kind, other.kind)}`,
  );
}

function fixOf(a: RadiusKind, b: RadiusKind): string {
  const hasVotes = a.norm !== "patch" && b.norm !== "patch" && a.range === b.range;
  return hasVotes ? ", or bring them to one norm and topK with recertify" : "";
}
