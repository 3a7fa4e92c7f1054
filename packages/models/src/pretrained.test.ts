import { fashionMnist } from "@dmae/datasets";
import { certifyDataset, readLog } from "@dmae/smoothing-certify";
import { describe, expect, test } from "vitest";
import type { ModelName } from "./card.ts";
import { catalogue } from "./catalogue.ts";
import { modelCards, pretrained } from "./pretrained.ts";
import { readVerified } from "./read-verified.ts";

const { test: images } = await fashionMnist();

describe.each(Object.keys(catalogue) as ModelName[])("%s", (name) => {
  const { card, classifier: url } = catalogue[name];
  const log = new URL(`../files/${name}/${card.certified.log}`, import.meta.url);

  test("counts the votes of its log again", async () => {
    const model = await pretrained(name);
    const [logged] = await readLog(log);
    const { settings } = logged!;
    const again = {
      sigma: card.sigma,
      n0: settings!.n0,
      n: 100,
      seed: Number(settings!.seed),
      max: 1,
    };
    for await (const row of certifyDataset(model, images, again)) {
      expect(row.predict).toBe(logged!.predict);
      expect(row.counts0).toEqual(logged!.counts0);
      expect(row.settings!.classifier).toBe(settings!.classifier); // the bytes, not only these votes
    }
    await model.dispose();
  });

  test("has a card that its log confirms", async () => {
    const rows = await readLog(log);
    expect(rows).toHaveLength(card.certified.images);
    const accuracy = (radius: number) => {
      const right = rows.filter((row) => row.correct && row.radius >= radius).length;
      return Math.round((1e4 * right) / rows.length) / 100;
    };
    for (const [radius, percent] of Object.entries(card.certified.accuracy))
      expect(percent).toBe(accuracy(Number(radius)));
    const sum = rows.reduce((total, { correct, radius }) => total + (correct ? radius : 0), 0);
    expect(card.certified.averageCertifiedRadius).toBeCloseTo(sum / rows.length, 3);
  });

  test("has parameters of the classifier and the autoencoder", async () => {
    const model = await pretrained(name);
    const parameters = await model.parameters();
    const autoencoder = await model.autoencoder();
    expect(parameters["head.weight"]!.shape[0]).toBe(card.classNames.length);
    expect(autoencoder["blocks.0.attn.qkv.weight"]!.shape).toEqual(
      parameters["blocks.0.attn.qkv.weight"]!.shape,
    );
    expect(Object.keys(autoencoder)).toContain("decoder_pred.weight");
    await model.dispose();
  });

  test("refuses a damaged file", async () => {
    const damaged = { ...card.classifier, sha256: "0".repeat(64) };
    await expect(readVerified(url, damaged)).rejects.toThrow(card.classifier.sha256);
  });
});

test("at each sigma the model with the largest average certified radius comes first", () => {
  const keys = modelCards.map(({ sigma, certified }) => [sigma, -certified.averageCertifiedRadius]);
  expect(keys).toEqual(keys.toSorted(([a, x], [b, y]) => a! - b! || x! - y!));
});

test("unknown names list the models there are", async () => {
  await expect(pretrained("fashion-mnist-cr-0.26" as ModelName)).rejects.toThrow(
    `pretrained: name must be one of ${modelCards.map(({ name }) => name).join(", ")}, got fashion-mnist-cr-0.26`,
  );
});

test("a missing file is an error that names it", async () => {
  const file = { name: "x", bytes: 1, sha256: "" };
  const url = new URL("./missing.onnx", import.meta.url);
  await expect(readVerified(url, file)).rejects.toThrow(`models: cannot read ${url.href}`);
});
