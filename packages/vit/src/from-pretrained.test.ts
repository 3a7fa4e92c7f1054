import { readFileSync } from "node:fs";
import { loadCheckpoint } from "@dmae/checkpoint";
import { DmaeError, type HostTensor, key } from "@dmae/core";
import { beforeAll, describe, expect, test } from "vitest";
import { createViT, fromPretrained } from "./index.ts";
import { interpolatePositions } from "./positions.ts";

const fixtures = new URL("../../checkpoint/src/__fixtures__/", import.meta.url);
const open = (name: string) => loadCheckpoint(readFileSync(new URL(name, fixtures)));
const recorded = (variant: string) =>
  JSON.parse(readFileSync(new URL(`finetune-${variant}.json`, fixtures), "utf8"));

const small = { width: 24, depth: 2, heads: 3, numClasses: 10 } as const;
let pretrained: Record<string, HostTensor>;
beforeAll(async () => {
  pretrained = { ...(await (await open("pretrain-0.pth")).readAll()) };
});

async function problem(promise: Promise<unknown>): Promise<DmaeError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (!DmaeError.isInstance(error)) throw error ?? new Error("nothing was thrown");
  return error;
}

describe.each(["gp", "cls"] as const)("what main_finetune does, %s", (variant) => {
  const vit = createViT({ ...small, globalPool: variant === "gp" });

  test("names created and ignored are PyTorch's missing and unexpected keys", async () => {
    const { missing, unexpected, state_dict_keys } = recorded(variant);
    const { params, report } = await fromPretrained(vit, await open("pretrain-0.pth"), {
      key: key(1),
    });
    expect([...report.created].sort()).toEqual([...missing].sort());
    expect([...report.ignored].sort()).toEqual([...unexpected].sort());
    expect([...Object.keys(params)].sort()).toEqual([...state_dict_keys].sort());
    expect(Object.keys(params)).toEqual(Object.keys(vit.initHost(key(1))));
    expect(report.interpolated).toEqual([]);
    expect(report.mismatched).toEqual([]);
  });

  test("loaded values are the official ones; created ones those of initHost", async () => {
    const official = await (await open(`finetune-${variant}.pth`)).readAll();
    const { params, report } = await fromPretrained(vit, pretrained, { key: key(1) });
    for (const name of report.loaded) expect(params[name], name).toEqual(official[name]);
    const initial = vit.initHost(key(1));
    for (const name of report.created) expect(params[name], name).toEqual(initial[name]);
  });

  test("a fine-tuned classifier loads whole and needs no key", async () => {
    const checkpoint = await open(`finetune-${variant}.pth`);
    const { params, report } = await fromPretrained(vit, checkpoint);
    expect(params).toEqual(await checkpoint.readAll());
    expect(report).toMatchObject({ created: [], ignored: [], mismatched: [] });
  });
});

describe("positions", () => {
  test("another image size interpolates them, and only them", async () => {
    const vit = createViT({ ...small, imageSize: 160 });
    const { params, report } = await fromPretrained(vit, pretrained, { key: key(1) });
    expect(report.interpolated).toEqual(["pos_embed"]);
    expect(report.mismatched).toEqual([]);
    expect(params.pos_embed).toEqual(interpolatePositions(pretrained.pos_embed!, 10));
    expect(params["blocks.1.mlp.fc1.weight"]).toEqual(pretrained["blocks.1.mlp.fc1.weight"]);
  });

  test("a grid that is not square does not fit", async () => {
    const { data } = pretrained.pos_embed!;
    const shape = [1, 196, 24];
    const cut = { dtype: "float32", shape, data: data.subarray(24) } as HostTensor;
    const error = await problem(
      fromPretrained(createViT(small), { ...pretrained, pos_embed: cut }, { key: key(1) }),
    );
    expect(error.message).toContain("pos_embed must be [1,197,24], the checkpoint has [1,196,24]");
  });
});

describe("what does not fit", () => {
  test("everything is listed at once", async () => {
    const { "norm.weight": _, "blocks.1.norm2.bias": __, ...rest } = pretrained;
    const odd = { ...rest, "blocks.0.ls1.gamma": pretrained["norm.bias"]! };
    const wide = createViT({ ...small, globalPool: false, mlpRatio: 2 });
    const error = await problem(fromPretrained(wide, odd, { key: key(1) }));
    expect(error.code).toBe("checkpoint");
    expect(error.details.problems).toEqual([
      "blocks.0.mlp.fc1.weight must be [48,24], the checkpoint has [96,24]",
      "blocks.0.mlp.fc1.bias must be [48], the checkpoint has [96]",
      "blocks.0.mlp.fc2.weight must be [24,48], the checkpoint has [24,96]",
      "blocks.1.norm2.bias is missing",
      "blocks.1.mlp.fc1.weight must be [48,24], the checkpoint has [96,24]",
      "blocks.1.mlp.fc1.bias must be [48], the checkpoint has [96]",
      "blocks.1.mlp.fc2.weight must be [24,48], the checkpoint has [24,96]",
      "norm.weight is missing",
      "blocks.0.ls1.gamma is unknown",
    ]);
  });

  test("allow names what may differ; created values follow from key and name", async () => {
    const deep = createViT({ ...small, depth: 3 });
    const options = { key: key(7), allow: ["blocks.2.*", "extra"] };
    const source = { ...pretrained, extra: pretrained.cls_token! };
    expect((await problem(fromPretrained(deep, source, { key: key(7) }))).message).toMatch(
      /blocks\.2\.norm1\.weight is missing.*extra is unknown/,
    );
    const { params, report } = await fromPretrained(deep, source, options);
    const initial = deep.initHost(key(7));
    expect(report.created).toContain("blocks.2.attn.qkv.weight");
    expect(report.ignored).toContain("extra");
    expect(params["blocks.2.attn.qkv.weight"]).toEqual(initial["blocks.2.attn.qkv.weight"]);
    expect(params["blocks.1.attn.qkv.weight"]).toEqual(pretrained["blocks.1.attn.qkv.weight"]);
  });

  test("a head for other classes starts afresh and is reported", async () => {
    const vit = createViT({ ...small, numClasses: 5 });
    const { params, report } = await fromPretrained(vit, await open("finetune-gp.pth"), {
      key: key(3),
    });
    expect(report.created).toEqual(["head.weight", "head.bias"]);
    expect(report.mismatched).toEqual([
      { name: "head.weight", expected: [5, 24], received: [10, 24] },
      { name: "head.bias", expected: [5], received: [10] },
    ]);
    expect(params["head.weight"]).toEqual(vit.initHost(key(3))["head.weight"]);
  });

  test("fresh draws anew what the checkpoint has", async () => {
    const vit = createViT(small);
    const { params, report } = await fromPretrained(vit, await open("finetune-gp.pth"), {
      key: key(3),
      fresh: ["head.*"],
    });
    expect(report.created).toEqual(["head.weight", "head.bias"]);
    expect(params["head.weight"]).toEqual(vit.initHost(key(3))["head.weight"]);
  });

  test("a model without a head ignores the one of the file", async () => {
    const vit = createViT({ ...small, numClasses: 0 });
    const { params, report } = await fromPretrained(vit, await open("finetune-gp.pth"));
    expect(report.ignored).toEqual(["head.weight", "head.bias"]);
    expect(params).not.toHaveProperty(["head.weight"]);
  });

  test("creating without a key, integers, and names that fall together", async () => {
    const vit = createViT(small);
    const message = async (promise: Promise<unknown>) => (await problem(promise)).message;
    expect(await message(fromPretrained(vit, pretrained))).toMatch(
      /key must be given, for head\.weight, head\.bias, fc_norm\.weight, fc_norm\.bias must be created/,
    );
    const cls = { dtype: "int32", shape: [1, 1, 24], data: new Int32Array(24) } as const;
    expect(
      await message(fromPretrained(vit, { ...pretrained, cls_token: cls }, { key: key(1) })),
    ).toMatch(/cls_token must hold floating-point numbers, got int32/);
    expect(await message(fromPretrained(vit, pretrained, { rename: () => "x" }))).toMatch(
      /rename must give every tensor another name/,
    );
  });

  test("rename takes a prefix off", async () => {
    const wrapped = Object.fromEntries(
      Object.entries(pretrained).map(([name, tensor]) => [`module.${name}`, tensor]),
    );
    const { params } = await fromPretrained(createViT(small), wrapped, {
      key: key(1),
      rename: (name) => name.replace(/^module\./, ""),
    });
    expect(params.cls_token).toBe(pretrained.cls_token);
  });
});

test.each([
  ["a promise", () => Promise.resolve(pretrained), "got an object with nothing in it"],
  [
    "an object with other values",
    () => ({ name: "vit", params: pretrained }),
    "got an object with name, params",
  ],
  [
    "the result of pretrain",
    () => ({ params: {}, encoder: pretrained }),
    "got the whole result of pretrain; pass its encoder",
  ],
  ["a path", () => "encoder.safetensors", "got encoder.safetensors"],
])("%s is no checkpoint", async (_, value, got) => {
  const { message } = await problem(fromPretrained(createViT(small), value() as never));
  expect(message).toBe(
    `fromPretrained: the checkpoint must be one of loadCheckpoint or a record of tensors, ${got}`,
  );
});
