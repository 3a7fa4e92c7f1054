import { expect, test } from "vitest";
import { standIn } from "./stand-in.ts";

const of = (text: string) => standIn(Uint8Array.from(text, (c) => c.charCodeAt(0)));

test.each([
  "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
  "version https://hawser.github.com/spec/v1\n",
  "version https://lfs.example.org/spec/v1\noid sha256:4d7a\n",
])("a Git LFS pointer: %j", (text) => {
  expect(of(text)).toMatch(/Git LFS pointer.*git lfs pull/);
});

test.each([
  "<!DOCTYPE html><html>",
  "\xef\xbb\xbf\r\n <HTML lang='en'>",
  "<!-- saved from --> <!doctype HTML>",
  '<?xml version="1.0"?><!DOCTYPE html PUBLIC>',
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>',
])("a web page: %j", (text) => {
  expect(of(text)).toMatch(/a web page/);
});

test.each(["", "PK\x03\x04", '{"format":"graph-model"}', "<svg/>", "version 1.0", "idx\tlabel"])(
  "neither: %j",
  (text) => {
    expect(of(text)).toBeUndefined();
  },
);
