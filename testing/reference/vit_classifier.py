"""Records packages/vit/src/__fixtures__/classifier.safetensors from the official classifier.

    python vit_classifier.py --dmae <checkout of quanlin-wu/dmae> --out <file>

The official model definition (models_vit.py, timm 0.5.4) runs in float64 on synthetic images: smooth
random colour fields with Gaussian noise, 24x24, resized to 56x56 as the official scripts resize
(bicubic, no antialias). Recorded: parameters, inputs, features, logits, and the gradient of a soft-target
cross entropy for both pooling variants; for global pooling also a pass with stochastic depth.
"""

import argparse
import platform
import sys
from functools import partial
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

SEED = 21000
SHAPE = dict(img_size=56, patch_size=8, embed_dim=24, depth=2, num_heads=3, mlp_ratio=4, num_classes=10)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


def official_module(path):
    # timm 0.5.4 imports torchvision for transforms and data sets, none of which runs here.
    for name in ("", ".models", ".models.feature_extraction", ".ops", ".ops.misc", ".datasets"):
        sys.modules["torchvision" + name] = MagicMock()
    for name in ("", ".functional"):
        sys.modules["torchvision.transforms" + name] = MagicMock()
    sys.path.insert(0, path)
    import models_vit

    return models_vit


def images(generator, count):
    field = torch.rand(count, 3, 4, 4, generator=generator, dtype=torch.float64)
    smooth = F.interpolate(field, size=(24, 24), mode="bilinear", align_corners=False)
    noise = torch.randn(smooth.shape, generator=generator, dtype=torch.float64)
    return (smooth + 0.25 * noise).float().double()


def build(models_vit, global_pool, generator):
    torch.manual_seed(SEED)
    model = models_vit.VisionTransformer(
        global_pool=global_pool, qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **SHAPE
    )
    for name, parameter in sorted(model.named_parameters()):
        std = 0.3 if name == "head.weight" else 0.1
        draw = std * torch.randn(parameter.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            draw = draw + 1
        parameter.data.copy_(draw)
    model = model.double()
    model.mean = torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1)
    model.std = torch.tensor(STD, dtype=torch.float64).reshape(1, 3, 1, 1)
    return model


class Scaled(torch.nn.Module):
    """Stochastic depth with recorded scales in place of random draws."""

    def __init__(self, scales):
        super().__init__()
        self.scales = iter(scales)

    def forward(self, x):
        return x * next(self.scales).reshape(-1, 1, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dmae", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    models_vit = official_module(args.dmae)
    import timm

    out = {}
    generator = torch.Generator().manual_seed(SEED)
    x = images(generator, 4)
    targets = torch.softmax(2 * torch.randn(4, 10, generator=generator, dtype=torch.float64), 1).float().double()
    keep = torch.tensor([[[1, 0, 1, 1], [0, 1, 1, 1]], [[1, 1, 0, 1], [1, 0, 1, 0]]], dtype=torch.float64)
    scales = keep / torch.tensor([0.9, 0.8], dtype=torch.float64).reshape(2, 1, 1)
    out["x"] = x.permute(0, 2, 3, 1)
    out["targets"] = targets
    out["dropPath"] = scales
    resized = F.interpolate(x, size=(56, 56), mode="bicubic", align_corners=False)
    out["resized"] = resized.permute(0, 2, 3, 1)[:1]

    for variant, global_pool in (("gp", True), ("cls", False)):
        model = build(models_vit, global_pool, torch.Generator().manual_seed(SEED + 1))
        passes = [("", None)] + ([(".dropPath", scales)] if global_pool else [])
        for suffix, drop in passes:
            if drop is not None:
                for block, pair in zip(model.blocks, drop):
                    block.drop_path = Scaled(pair)
            model.zero_grad()
            features = model.forward_features(resized)
            logits = model.head(features)
            loss = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
            loss.backward()
            out[f"{variant}{suffix}.features"] = features
            out[f"{variant}{suffix}.logits"] = logits
            out[f"{variant}{suffix}.loss"] = loss.reshape(1)
            for name, parameter in model.named_parameters():
                out[f"{variant}{suffix}.grad.{name}"] = parameter.grad.clone()
        for name, parameter in model.state_dict().items():
            out[f"{variant}.param.{name}"] = parameter

    arrays = {k: np.ascontiguousarray(v.detach().numpy().astype(np.float32)) for k, v in out.items()}
    compact = {}
    for name, array in arrays.items():  # the large gradients of the stochastic pass add nothing
        if ".dropPath.grad." in name and not name.endswith(("attn.proj.weight", "cls_token", "norm2.bias")):
            continue
        compact[name] = array
    save_file(compact, args.out, metadata={
        "command": "python testing/reference/vit_classifier.py --dmae <quanlin-wu/dmae at 782f139427> --out <this file>",
        "versions": f"torch {torch.__version__}, timm {timm.__version__}, numpy {np.__version__}, python {platform.python_version()}",
        "seed": str(SEED),
        "dtype": "computed in float64, stored as float32",
        "shape": str(SHAPE),
        "mean_std": f"{MEAN} {STD}",
        "loss": "mean over rows of soft-target cross entropy with targets",
    })


main()
