import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { loadCheckpoint } from "./index.ts";
import { optimizerState, weightDecayGroups } from "./resume.ts";

const fixture = (name: string) => new URL(`./__fixtures__/${name}`, import.meta.url);
const recorded = JSON.parse(readFileSync(fixture("pretrain.json"), "utf8"));
const digests = JSON.parse(readFileSync(fixture("digests.json"), "utf8"))["pretrain-3"];
const checkpoint = await loadCheckpoint(fixture("pretrain-3.pth"));
afterAll(() => checkpoint.close());

describe("weightDecayGroups", () => {
  test("are the groups of the official optimizer, in its order", () => {
    expect(weightDecayGroups(checkpoint, { frozen: recorded.frozen })).toEqual(recorded.groups);
  });

  test("an unknown frozen name", () => {
    expect(() => weightDecayGroups(checkpoint, { frozen: ["positions"] })).toThrow(
      /has no tensor "positions"/,
    );
  });
});

describe("optimizerState", () => {
  test("gives every moment under its parameter's name", async () => {
    const { tensors, steps, step, groups } = await optimizerState(checkpoint, recorded.groups);
    const names = recorded.groups.flat() as string[];
    expect(Object.keys(tensors)).toHaveLength(2 * names.length);
    expect(step).toBe(3);
    expect(steps).toEqual(Object.fromEntries(names.map((name) => [name, 3])));
    // The index counts through the groups: the first of the second group follows the last of the first.
    for (const [index, name] of names.entries())
      for (const slot of ["exp_avg", "exp_avg_sq"]) {
        const { shape, data } = tensors[`${slot}.${name}`]!;
        expect(shape).toEqual(checkpoint.spec(name).shape);
        const sha256 = createHash("sha256").update(new Uint8Array(data.buffer)).digest("hex");
        expect(sha256, name).toBe(digests[`optimizer.state.${index}.${slot}`]?.sha256);
      }
    expect(groups.map(({ weight_decay }) => weight_decay)).toEqual([0, 0.05]);
    expect(groups[0]).toMatchObject({ betas: [0.9, 0.95], eps: 1e-8 });
    expect(groups[0]).not.toHaveProperty("params");
  });

  test("a wrong order of groups or names is noticed", async () => {
    const [first, second] = recorded.groups;
    await expect(optimizerState(checkpoint, [second, first])).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringMatching(/has groups of 39,\d+ parameters, the names given are \d+,39/),
    });
    const reversed = [[...first].reverse(), second];
    await expect(optimizerState(checkpoint, reversed)).rejects.toThrow(
      /exp_avg of .* has shape .* in the order of the training script/,
    );
  });

  test("a file without an optimizer, and one whose optimizer has no state yet", async () => {
    const bare = await loadCheckpoint(readFileSync(fixture("edge-bare-state-dict.pth")));
    await expect(optimizerState(bare, [])).rejects.toThrow(/has no optimizer/);
    const start = await loadCheckpoint(readFileSync(fixture("pretrain-0.pth")));
    const { tensors, step } = await optimizerState(start, recorded.groups);
    expect(tensors).toEqual({});
    expect(step).toBe(0);
  });
});
