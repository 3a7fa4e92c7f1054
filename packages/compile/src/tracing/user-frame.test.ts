import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { compile } from "../index.ts";
import { userFrame } from "./user-frame.ts";

const stackOf = (...lines: string[]) =>
  ["Error: x", ...lines.map((line) => `    at ${line}`)].join("\n");

const core = "/app/node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js";
const ours = "/app/node_modules/@dmae/compile/dist";

describe("userFrame", () => {
  const at = (...lines: string[]) => userFrame(stackOf(...lines), `${ours}/`);

  it("names the outermost operation, and the line that called it", () => {
    expect(
      at(
        `TraceBackend.readSync (file://${ours}/index.js:1:2)`,
        `Tensor.dataSync (${core}:3882:32)`,
        `Tensor.arraySync (${core}:3803:47)`,
        "file:///app/model.js:14:47",
        `file://${ours}/index.js:9:9`,
        `Engine.scopedRun (${core}:4572:23)`,
        "file:///app/main.js:1:1",
      ),
    ).toEqual({ operation: "arraySync", line: " (called at /app/model.js:14:47)" });
  });

  it("reads paths with spaces and parentheses, plain and as URLs", () => {
    for (const place of [
      "file:///my%20app/(old)/model.js:3:4",
      "/my app/(old)/model.js:3:4",
      "network (/my app/(old)/model.js:3:4)",
      "async Object.network [as call] (file:///my%20app/(old)/model.js:3:4)",
    ])
      expect(at(`Proxy.unique__op (${core}:1:1)`, place)).toEqual({
        operation: "unique",
        line: " (called at /my app/(old)/model.js:3:4)",
      });
  });

  it("does not take the machinery of gradients, layers and async functions for operations", () => {
    const machinery = [
      `_loop_1 (${core}:3375:19)`,
      `backpropagateGradients (${core}:3412:9)`,
      `Engine.gradients (${core}:5157:21)`,
      `Generator.next (${core}:1:1)`,
      `__awaiter (${core}:1:1)`,
      "nameScope (/app/node_modules/@tensorflow/tfjs-layers/dist/common.js:12:22)",
      "Dense.apply (/app/node_modules/@tensorflow/tfjs-layers/dist/topology.js:12:22)",
    ];
    expect(at(`unique__op (${core}:1:1)`, ...machinery, "/app/model.js:1:2")).toEqual({
      operation: "unique",
      line: " (called at /app/model.js:1:2)",
    });
    expect(at(...machinery, "/app/model.js:1:2").operation).toBeNull();
  });

  it("finds the line in a bundle of one file, below the operation", () => {
    const bundle = "/app/out/bundle.js";
    const stack = stackOf(
      `TraceBackend.readSync (file://${bundle}:1:2)`,
      `Engine.readSync (file://${bundle}:2:2)`,
      `Tensor.dataSync (file://${bundle}:3:2)`,
      `Tensor.arraySync (file://${bundle}:4:2)`,
      `network (file://${bundle}:500:2)`,
      `file://${bundle}:6:2`,
      `Engine.tidy (file://${bundle}:7:2)`,
    );
    expect(userFrame(stack, "/app/out/")).toEqual({
      operation: "arraySync",
      line: ` (called at ${bundle}:500:2)`,
    });
  });

  it("prefers the line outside of @dmae, and a user's packages are no part of it", () => {
    const vit = "vit.logits (file:///app/node_modules/@dmae/vit/dist/index.js:5:6)";
    expect(at(`unique__op (${core}:1:1)`, vit, "/app/packages/model/src/net.ts:1:2")).toEqual({
      operation: "unique",
      line: " (called at /app/packages/model/src/net.ts:1:2)",
    });
    expect(at(`unique__op (${core}:1:1)`, vit).line).toBe(
      " (called at /app/node_modules/@dmae/vit/dist/index.js:5:6)",
    );
  });

  it("finds them in real stacks", async () => {
    await tf.setBackend("cpu");
    const message = async (read: (x: tf.Tensor) => unknown) => {
      const fn = ({ x }: { x: tf.Tensor }) => {
        read(x);
        return x;
      };
      return (await failure(() => compile(fn, { x: { shape: [2] } }))).message;
    };
    const here = /\(called at .*user-frame\.test\.ts:\d+:\d+\)/;
    const readers: [string, (x: tf.Tensor) => unknown][] = [
      ["arraySync", (x) => x.arraySync()],
      ["print", (x) => x.print()],
      ["unique", (x) => tf.unique(x)],
      ["unique", (x) => tf.grad((y) => tf.sum(tf.unique(y).values))(x)],
    ];
    for (const [name, read] of readers) {
      expect(await message(read)).toContain(`compile: ${name} `);
      expect(await message(read)).toMatch(here);
    }
  });
});
