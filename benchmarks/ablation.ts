// What dropping the patches that a column ablation hides saves: ablated copies of 28 x 28 images a second
// through a ViT that sees all patches, masked ones as zeros, and through visibleTokens.
import { key, uniform } from "@dmae/core";
import { selectBackend } from "@dmae/nn";
import { certifyPatch } from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";
import { visibleTokens } from "@dmae/vit/parts";
import type * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";

const rounds = 5;
const [side, images] = [28, 4];

/** Prints images certified a second, all 28 copies of each, medians of rounds taken in turns. */
export async function ablationBenchmark(): Promise<void> {
  await selectBackend("wasm");
  const vit = createViT({
    ...{ imageSize: side, patchSize: 4, channels: 1, mean: [0.286], std: [0.353] },
    ...{ width: 192, depth: 6, heads: 3, numClasses: 10 },
  });
  const params = vit.init(key(0));
  const masked = (batch: tf.Tensor) => vit.logits(params, batch);
  const options = { patch: 5, batchSize: side, checkRows: false } as const;
  console.log(
    "| column ablation | masking, images/s | dropping, images/s | ratio |\n|---|---|---|---|",
  );
  for (const [columns, stride] of [
    [4, 1],
    [4, 4],
    [8, 1],
  ] as const) {
    const ablation = { columns };
    const ways = [
      (x: Float32Array) =>
        certifyPatch({ predict: masked, input: "tensor" }, x, {
          ...{ ...options, ablation, stride, shape: [side, side, 1] },
        }),
      (x: Float32Array) =>
        certifyPatch(visibleTokens(vit, params), x, {
          ...{ ...options, ablation, stride, shape: [side, side, 1], encoding: "mask" },
        }),
    ];
    const seconds = await inTurns(ways);
    const [a, b] = seconds.map((s) => images / s) as [number, number];
    console.log(
      `| ${columns} columns, stride ${stride} | ${a.toFixed(2)} | ${b.toFixed(2)} | ${(b / a).toFixed(2)} |`,
    );
  }
}

async function inTurns(ways: ((x: Float32Array) => Promise<unknown>)[]): Promise<number[]> {
  const times = ways.map((): number[] => []);
  for (let round = 0; round <= rounds; round++)
    for (const [i, way] of ways.entries()) {
      const start = performance.now();
      for (let image = 0; image < images; image++)
        await way(uniform(key(image), new Float32Array(side * side)));
      if (round > 0) times[i]!.push((performance.now() - start) / 1000);
    }
  return times.map((list) => list.sort((a, b) => a - b)[rounds >> 1]!);
}
