"""Copies what the tests need out of the reference set into the packages.

    python compact_fixtures.py --reference <set A> --packages <packages>

Only random inputs and what the official code made of them; nothing that shows an ImageNet image.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

NOTE = "command: python testing/reference/compact_fixtures.py --reference <set A> --packages packages"
VERSIONS = "torch 1.13.0a0, torchvision 0.14.1a0, timm 0.5.4, numpy 1.24.2; quanlin-wu/dmae at 782f139427"


def save(path, tensors, **notes):
    path.parent.mkdir(exist_ok=True)
    arrays = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(arrays, path, metadata={"command": NOTE, "versions": VERSIONS, **notes})


def geometry(helpers, out):
    tensors = {}
    for name in ("patchify", "pos_embed_sincos", "pos_embed_interpolate"):
        for key, value in load_file(helpers / f"{name}.safetensors").items():
            if key.endswith(".out") or key.startswith(("p16_hw32", "sincos_dim32", "sincos_dim24")):
                continue
            tensors[f"{name}.{key}"] = value
    save(out, tensors, seed="11400", source="helpers/*.safetensors")


def resize(helpers, out):
    source = load_file(helpers / "tensor_resize_bicubic.safetensors")
    rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, 50, 111, 112, 113, 170, 216, 217, 218, 219, 220, 221, 222, 223])
    save(
        out,
        {"in_32": source["in_32"], "rows": rows, "out_224_rows": source["out_32_to_224"][:, :, rows]},
        source="helpers/tensor_resize_bicubic.safetensors",
        note="torchvision Resize((224, 224), BICUBIC) of a float tensor [B, C, H, W]; these rows of the output",
    )


def consistency(folder, out):
    source = load_file(folder / "consistency.safetensors")
    recorded = json.loads((folder / "consistency.json").read_text())
    tensors = {}
    for case, modes in recorded["cases"].items():
        tensors[f"{case}.logits"] = source[f"{case}.logits"]
        for mode in recorded["modes"]:
            entry = modes[mode]
            tensors[f"{case}.{mode}.loss"] = np.array([entry["loss_float64"]], np.float64)
            masked = source.get(f"{case}.{mode}.grad_masked_kl")
            grad = source[f"{case}.{mode}.grad_float64"].astype(np.float32) if masked is None else masked
            tensors[f"{case}.{mode}.grad"] = grad
    save(
        out,
        tensors,
        seed=str(recorded["seed"]),
        lbd=str(recorded["lbd"]),
        eta=str(recorded["eta"]),
        source="consistency/consistency.safetensors, consistency.json",
        note="loss and gradient of util/consistency.py in float64 (gradients stored as float32); where the "
        "averaged softmax underflows to 0: the gradient with kl_div's zero convention, in float32",
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    args = parser.parse_args()
    helpers = args.reference / "helpers"
    geometry(helpers, args.packages / "vit/src/__fixtures__/geometry.safetensors")
    resize(helpers, args.packages / "nn/src/__fixtures__/resize-bicubic.safetensors")
    consistency(args.reference / "consistency", args.packages / "consistency-loss/src/__fixtures__/consistency.safetensors")


main()
