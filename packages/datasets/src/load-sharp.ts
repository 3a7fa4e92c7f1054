import { DmaeError } from "@dmae/core";

type Sharp = typeof import("sharp")["default"];
let loading: Promise<Sharp> | undefined;

/** The optional peer `sharp`, loaded once. */
export function loadSharp(caller: string): Promise<Sharp> {
  loading ??= import("sharp").then(
    (module) => module.default,
    (cause: unknown) => {
      loading = undefined;
      throw new DmaeError(
        "unsupported",
        `${caller}: decoding images needs the package sharp; run npm install sharp`,
        {},
        { cause },
      );
    },
  );
  return loading;
}
