"""Copies a part of the recorded denoiser trainings and of one-shot diffusion into the package.

    python denoising.py --reference <methods> --out packages/convnet/src/__fixtures__/denoising.safetensors

The runs are those of the official implementations on random images: microsoft/denoised-smoothing 9500d0e (train_denoiser.py: three steps
of DnCNN), ethz-spylab/diffusion_denoised_smoothing 699e7a5 (one-shot denoising; a training step of the embedded improved
diffusion), torch 2.13 on a CPU with one thread. Inputs are float32; losses, gradients and parameters after the steps
were computed from them by the same code in float64, and are kept in float32.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from certified_training import load, save

CASES = ["mse-sgd", "stability-adam"]


def denoiser(folder, case):
    path = folder / "denoised" / f"case-{case}"
    single, double = load(path.with_suffix(".safetensors")), load(path.with_suffix(".f64.safetensors"))
    notes = json.loads(path.with_suffix(".json").read_text())
    kept = {n: v for n, v in single.items() if n.startswith(("init.", "batch", "draw", "clf.", "eval.denoised", "step2.buffer."))}
    kept |= {n: v.astype("f4") for n, v in double.items() if n.startswith(("step0.grad.", "step2.after."))}
    kept = {n: v for n, v in kept.items() if not n.endswith(("tracked", ".y"))}
    losses = [notes["scalars64"][f"step{i}.loss"] for i in range(3)]
    differences = {n: notes["tolerance"][n] for n in kept if n in notes["tolerance"]}
    return kept, {"config": notes["config"], "losses": losses, "tolerance": differences}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tensors, metadata = {}, {"command": "testing/reference/denoising.py"}
    for case in CASES:
        kept, notes = denoiser(args.reference, case)
        tensors |= {f"{case}/{name}": value for name, value in kept.items()}
        metadata[f"case {case}"] = json.dumps(notes)
    diffusion = load(args.reference / "diffusion" / "case-cifar10.safetensors")
    names = ["x", "stub.conv.weight", "stub.conv.bias", "stub.vec", "sigma0.5.draw0", "sigma0.5.pred_xstart"]
    names += [n for n in diffusion if n.startswith("train.plain.") and not n.startswith("train.plain.mse")]
    tensors |= {f"diffusion/{name}": np.asarray(diffusion[name]) for name in names}
    save(args.out, tensors, metadata)


if __name__ == "__main__":
    main()
