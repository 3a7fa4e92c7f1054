"""Loads what saveSafetensors wrote into the official PyTorch models with strict=True.

    npx tsx --tsconfig tsconfig.json testing/reference/write_models.ts /tmp/models
    pip install torch==2.13.0 timm==0.5.4 safetensors==0.8.0
    git clone https://github.com/quanlin-wu/dmae && (cd dmae && git checkout 782f139427)
    python testing/reference/strict_load.py dmae /tmp/models

Prints what load_state_dict answers for a global-pool classifier, a class-token classifier and the
pre-training model, and that every parameter then equals the file's.
"""

import sys
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import numpy

numpy.float = float  # the official code predates numpy 1.24

official, models = sys.argv[1:3]
sys.path.insert(0, official)

# timm imports torchvision for transforms and data sets, none of which runs here.
for name in ("", ".transforms", ".transforms.functional", ".models", ".models.feature_extraction", ".ops", ".ops.misc", ".datasets"):
    sys.modules["torchvision" + name] = MagicMock()

import torch
from safetensors.torch import load_file, safe_open

import models_dmae
import models_vit

LayerNorm = partial(torch.nn.LayerNorm, eps=1e-6)


def check(name, model):
    path = Path(models) / f"{name}.safetensors"
    weights = load_file(path)
    answer = model.load_state_dict(weights, strict=True)
    same = all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    with safe_open(path, "pt") as file:
        print(name, answer, len(weights), "tensors, equal:", same, file.metadata())


check("classifier", models_vit.vit_base_patch16(num_classes=10, global_pool=True))
check(
    "class-token",
    models_vit.VisionTransformer(
        patch_size=16, embed_dim=192, depth=12, num_heads=3, mlp_ratio=4, qkv_bias=True,
        norm_layer=LayerNorm, num_classes=1000, global_pool=False,
    ),
)
check("pretrain", models_dmae.dmae_vit_base_patch16())
