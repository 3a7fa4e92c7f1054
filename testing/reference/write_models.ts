// Writes freshly drawn models for strict_load.py: write_models.ts <folder>
import { mkdir } from "node:fs/promises";
import { saveSafetensors } from "../../packages/checkpoint/src/index.ts";
import { key } from "../../packages/core/src/index.ts";
import { createDmae } from "../../packages/pretrain/src/index.ts";
import { createViT } from "../../packages/vit/src/index.ts";

const folder = process.argv[2] ?? "/tmp/models";
await mkdir(folder, { recursive: true });
const classifier = createViT("vit_base_patch16", { numClasses: 10 }).initHost(key(1));
const classToken = createViT("vit_tiny_patch16", { globalPool: false }).initHost(key(1));
const pretrain = createDmae("vit_base_patch16").initHost(key(1));
await saveSafetensors(`${folder}/classifier.safetensors`, classifier, { seed: "1" });
await saveSafetensors(`${folder}/class-token.safetensors`, classToken, { seed: "1" });
await saveSafetensors(`${folder}/pretrain.safetensors`, pretrain, { seed: "1" });
