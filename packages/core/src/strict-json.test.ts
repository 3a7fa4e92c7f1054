import { expect, test } from "vitest";
import { parseStrictJson } from "./strict-json.ts";

test.each([
  '{"a":{"b":1},"c":[{"a":1},{"a":2}],"d":"\\"a\\":{"}',
  '[":", "{", {"\\\\": ":"}]',
  '"alone"',
  "null",
  "[]",
])("%s means what JSON.parse says", (text) => {
  expect(parseStrictJson(text)).toEqual(JSON.parse(text));
});

test.each([
  ['{"a":1,"a":2}', /the key "a" twice/],
  ['{"a":1,"\\u0061":2}', /the key "a" twice/],
  ['{"x":[{"b":1 , "b" : 1}]}', /the key "b" twice/],
  ['{"__proto__":1,"__proto__":2}', /the key "__proto__" twice/],
  ["[".repeat(65) + "]".repeat(65), /more than 64 deep/],
  ["[".repeat(1e6), /more than 64 deep/],
  ['{"a":1', /JSON/],
  ['"open', /./],
  ['{"\\x":1}', /./],
])("%j is an error", (text, reason) => {
  expect(() => parseStrictJson(text)).toThrow(reason);
});

test("work grows with the length, not with its square", () => {
  const pairs = Array.from({ length: 200_000 }, (_, i) => `"key ${i}":[${i}]`);
  const value = parseStrictJson(`{${pairs}}`) as Record<string, number[]>;
  expect(Object.keys(value)).toHaveLength(200_000);
});
