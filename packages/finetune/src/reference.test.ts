import "@tensorflow/tfjs-backend-wasm";
import { existsSync, readFileSync } from "node:fs";
import { loadCheckpoint } from "@dmae/checkpoint";
import { type HostTensor, type HostTensors, key } from "@dmae/core";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { specsOf, taskStep, torchGroups, unprefixed } from "@dmae/train/tasks";
import { createViT, fromPretrained } from "@dmae/vit";
import { CIFAR10_NORMALIZATION, IMAGENET_NORMALIZATION } from "@dmae/vit/parts";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { type FixtureTensor, readFixture } from "../../../testing/fixtures.ts";
import { finetuneGroups, finetuneTask } from "./finetune-step.ts";
import { type Mixing, mixingInputs, softTargets } from "./mixing.ts";
import type { FinetuneRecipe } from "./recipe.ts";
import { finetuneRecipes } from "./recipes.ts";

// The reference set's own runs use ImageNet images, which may not be published: checked where present.
const reference = new URL("../../../../shared/reference/", import.meta.url);
const open = (name: string) => loadCheckpoint(new URL(`${name}.pth`, reference));

/** Entry `index` of `[steps, B, C, H, W]` as `[B, H, W, C]`, times `scale`. */
function nhwc({ shape, data }: FixtureTensor, index: number, scale = 1): HostTensor {
  const [batch, channels, height, width] = shape.slice(-4) as [number, number, number, number];
  const size = batch * channels * height * width;
  const out = new Float32Array(size);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < height * width; p++)
        out[(b * height * width + p) * channels + c] =
          data[index * size + (b * channels + c) * height * width + p]! * scale;
  return { dtype: "float32", shape: [batch, height, width, channels], data: out };
}

/** Without the key third of qkv biases, whose gradient is zero in theory. */
function meaningful(name: string, values: ArrayLike<number>): number[] {
  const all = Array.from(values);
  const third = all.length / 3;
  return name.endsWith("qkv.bias") ? [...all.slice(0, third), ...all.slice(2 * third)] : all;
}

describe.skipIf(!existsSync(reference))("the recorded fine-tuning of the official code", () => {
  beforeAll(() => selectBackend("wasm"));
  const variants = [
    ["gp", true, 32, CIFAR10_NORMALIZATION],
    ["cls", false, 24, IMAGENET_NORMALIZATION],
  ] as const;

  it.each(variants)(
    "%s: three steps from checkpoint-0.pth",
    async (variant, globalPool, inputSize, statistics) => {
      const at = (name: string) => new URL(`finetune/${variant}/${name}`, reference);
      const { training } = JSON.parse(readFileSync(at("finetune.json"), "utf8"));
      const io = readFixture(at("io.safetensors"));
      const vit = createViT(
        { width: 24, depth: 2, heads: 3 },
        { numClasses: 10, globalPool, inputSize, ...statistics },
      );
      const checkpoint = await open(`finetune/${variant}/checkpoint-0`);
      const { params, report } = await fromPretrained(vit, checkpoint);
      await checkpoint.close();
      expect(report.created).toEqual([]);
      const { batch_size: batchSize, epoch_argument: epoch, micro_batches: steps } = training;
      const recipe: FinetuneRecipe = {
        ...finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"],
        layerDecay: training.layer_decay,
        batchSize,
        accumulate: 1,
        baseLearningRate: (training.lr_peak * 256) / batchSize,
        minLearningRate: training.min_lr,
        warmupEpochs: training.warmup_epochs,
        epochs: training.epochs,
      };
      const step = taskStep(finetuneTask(vit, recipe, params), {
        stepsPerEpoch: steps,
        updateOffset: -steps * epoch,
      });
      const official: { params: string[] }[] = JSON.parse(
        readFileSync(at("finetune.json"), "utf8"),
      ).param_groups;
      expect(torchGroups(params, finetuneGroups(vit.config, recipe, params))).toEqual(
        official.map((group) => group.params),
      );
      const mixes = variant === "cls";
      const inputsOf = (index: number): HostTensors => {
        const targets = io
          .get("train_targets")
          .data.subarray(index * batchSize, (index + 1) * batchSize);
        const labels = [...Array.from(targets), ...Array.from(targets)];
        const mixing = mixes ? mixingOf(training.mix[index]) : { kind: "none" as const };
        return {
          images: nhwc(io.get("train_images_u8"), index, 1 / 255),
          noise: nhwc(io.get("train_noise"), index),
          targets: softTargets(labels, 10, training.smoothing, mixing),
          ...(mixes ? mixingInputs(mixing, 224) : {}),
          ...step.inputs(steps * epoch + index),
        };
      };
      const prepared = await eagerExecutor().prepareStep(step.step, {
        state: step.initState(params),
        batch: specsOf(inputsOf(0)),
      });
      for (let index = 0; index < steps; index++) {
        const { trainLoss, consistency } = await prepared(inputsOf(index));
        expectClose(
          [trainLoss!, consistency!],
          [training.loss_nat[index], training.loss_reg[index]],
          { relative: 1e-5 },
        );
        expectClose(
          [step.learningRate(steps * epoch + index)],
          [training.lr_by_lr_scale_per_micro_batch[index]["1"]],
          { relative: 1e-15 },
        );
      }
      const ours = unprefixed("params.", await prepared.state());
      prepared.dispose();
      const after = readFixture(at("after3.safetensors"));
      for (const name of after.names)
        expectClose(meaningful(name, ours[name]!.data), meaningful(name, after.get(name).data), {
          absolute: 1e-5,
        });
    },
  );

  it.each(variants)(
    "%s: loads the pre-training checkpoint as main_finetune.py",
    async (variant, globalPool) => {
      const { loading_pretrain_checkpoint: official } = JSON.parse(
        readFileSync(new URL(`finetune/${variant}/finetune.json`, reference), "utf8"),
      );
      const checkpoint = await open("pretrain/checkpoint-0");
      const vit = createViT({ width: 24, depth: 2, heads: 3 }, { numClasses: 10, globalPool });
      const { report } = await fromPretrained(vit, checkpoint, { key: key(0) });
      await checkpoint.close();
      expect([...report.created].sort()).toEqual([...official.missing_keys].sort());
      expect([...report.ignored].sort()).toEqual([...official.unexpected_keys].sort());
    },
  );
});

function mixingOf(drawn: {
  use_cutmix: boolean;
  lam_used: number;
  bbox_yl_yh_xl_xh?: number[];
}): Mixing {
  if (!drawn.use_cutmix) return { kind: "mixup", lambda: drawn.lam_used };
  const [top, bottom, left, right] = drawn.bbox_yl_yh_xl_xh as [number, number, number, number];
  return { kind: "cutmix", lambda: drawn.lam_used, top, bottom, left, right };
}
