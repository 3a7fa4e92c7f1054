import { expect, test } from "vitest";
import { DmaeError } from "./errors.ts";

test("a DmaeError carries its code, facts and cause", () => {
  const cause = new Error("inner");
  const error = new DmaeError("shape", "f: rule, got value", { got: 3 }, { cause });
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.message, error.code, error.cause]).toEqual([
    "DmaeError",
    "f: rule, got value",
    "shape",
    cause,
  ]);
  expect(error.details).toEqual({ got: 3 });
});

test("isInstance knows errors of its kind, those of another copy too, and nothing else", () => {
  const error = new DmaeError("file", "f: rule");
  const foreign = Object.assign(new Error("f: rule"), {
    code: "file",
    [Symbol.for("@dmae/error")]: true,
  });
  for (const one of [error, foreign]) {
    expect(DmaeError.isInstance(one)).toBe(true);
    expect(DmaeError.isInstance(one, "file")).toBe(true);
    expect(DmaeError.isInstance(one, "shape")).toBe(false);
  }
  for (const other of [new Error("x"), null, undefined, "file", { code: "file" }])
    expect(DmaeError.isInstance(other)).toBe(false);
});

test("a message cannot control a terminal or fill it", () => {
  const { message } = new DmaeError("file", "f: \x1b]0;title\x07 \0 a\tb\nc \x9b");
  expect(message).toBe("f: \\x1b]0;title\\x07 \\x00 a\tb\nc \\x9b");
  expect(new DmaeError("file", "x".repeat(1e6)).message).toHaveLength(65_536 + 12);
});
