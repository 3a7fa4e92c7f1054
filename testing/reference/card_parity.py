"""Records what PyTorch computes of the Vision Transformers that `scripts/prove-gpu.mjs` runs on a card.

    python card_parity.py ../../benchmarks/prove-gpu/pytorch.json

Logits, losses, gradients and the changes that three AdamW steps make, in float64 on the CPU. Parameters and images come
out of a hash of their position, which benchmarks/prove-gpu/hashed.mjs computes as well, so that only results are stored: of
each tensor its norm and eight values.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

BATCH, STEPS, LEARNING_RATE = 4, 3, 1e-3
EPSILON = 1e-3  # large, so that gradients that are zero but for rounding (of key biases) move nothing
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHAPES = {
    "toy": {"image": 32, "patch": 8, "width": 48, "depth": 2, "heads": 3, "classes": 10},
    "small": {"image": 64, "patch": 8, "width": 192, "depth": 6, "heads": 3, "classes": 10},
}


def hashed(seed, size):
    """Numbers in [0, 1) that follow from seed and position; float32, exact."""
    x = np.arange(size, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503 + 1)
    for _ in range(2):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x45D9F3B)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(2**24)


def shapes_of(image, patch, width, depth, classes, **_):
    yield "cls_token", (1, 1, width)
    yield "pos_embed", (1, 1 + (image // patch) ** 2, width)
    yield "patch_embed.proj.weight", (width, 3, patch, patch)
    yield "patch_embed.proj.bias", (width,)
    for i in range(depth):
        for name, shape in (
            ("norm1.weight", (width,)), ("norm1.bias", (width,)),
            ("attn.qkv.weight", (3 * width, width)), ("attn.qkv.bias", (3 * width,)),
            ("attn.proj.weight", (width, width)), ("attn.proj.bias", (width,)),
            ("norm2.weight", (width,)), ("norm2.bias", (width,)),
            ("mlp.fc1.weight", (4 * width, width)), ("mlp.fc1.bias", (4 * width,)),
            ("mlp.fc2.weight", (width, 4 * width)), ("mlp.fc2.bias", (width,)),
        ):
            yield f"blocks.{i}.{name}", shape
    yield "norm.weight", (width,)
    yield "norm.bias", (width,)
    yield "head.weight", (classes, width)
    yield "head.bias", (classes,)


def parameters(shape):
    """In the order of their names: small numbers, and around 1 where a norm multiplies."""
    named = sorted(shapes_of(**shape))
    for seed, (name, size) in enumerate(named):
        values = (hashed(seed, int(np.prod(size))) - np.float32(0.5)) * np.float32(0.25)
        if name.endswith(("norm1.weight", "norm2.weight", "norm.weight")):
            values = values + np.float32(1)
        yield name, torch.tensor(values.reshape(size), dtype=torch.float64).requires_grad_()


def logits(p, x, depth, heads, patch, width, **_):
    mean, std = (torch.tensor(v, dtype=torch.float64).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    tokens = F.conv2d((x - mean) / std, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=patch)
    tokens = tokens.flatten(2).transpose(1, 2)
    h = torch.cat([p["cls_token"].expand(len(x), -1, -1), tokens], 1) + p["pos_embed"]
    norm = lambda name, y: F.layer_norm(y, (width,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)
    linear = lambda name, y: F.linear(y, p[f"{name}.weight"], p[f"{name}.bias"])
    for i in range(depth):
        b = f"blocks.{i}"
        qkv = linear(f"{b}.attn.qkv", norm(f"{b}.norm1", h))
        q, k, v = qkv.reshape(*h.shape[:2], 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(h.shape)
        h = h + linear(f"{b}.attn.proj", a)
        h = h + linear(f"{b}.mlp.fc2", F.gelu(linear(f"{b}.mlp.fc1", norm(f"{b}.norm2", h))))
    return linear("head", norm("norm", h)[:, 0])


def summary(tensor):
    flat = tensor.detach().flatten()
    places = [(k * 2654435761 % 2**32) % len(flat) for k in range(1, 9)]
    return [float(f"{v:.9g}") for v in (flat.norm().item(), *(flat[i].item() for i in places))]


def record(shape):
    torch.manual_seed(0)
    p = dict(parameters(shape))
    side = shape["image"]
    x = torch.tensor(hashed(1000, BATCH * side * side * 3).reshape(BATCH, side, side, 3), dtype=torch.float64)
    x = x.permute(0, 3, 1, 2)
    y = torch.arange(BATCH) % shape["classes"]
    optimizer = torch.optim.AdamW(p.values(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=EPSILON, weight_decay=0.01)
    before = {name: value.detach().clone() for name, value in p.items()}
    found = {"logits": [float(f"{v:.9g}") for v in logits(p, x, **shape).flatten().tolist()], "loss": []}
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(logits(p, x, **shape), y)
        loss.backward()
        found["loss"].append(float(f"{loss.item():.9g}"))
        if step == 0:
            found["gradients"] = {name: summary(value.grad) for name, value in p.items()}
        optimizer.step()
    found["changes"] = {name: summary(value - before[name]) for name, value in p.items()}
    return {"shape": shape, **found}


if __name__ == "__main__":
    text = {
        "made": f"card_parity.py, PyTorch {torch.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        "batch": BATCH, "learningRate": LEARNING_RATE, "epsilon": EPSILON, "mean": MEAN, "std": STD,
        "models": {name: record(shape) for name, shape in SHAPES.items()},
    }
    Path(sys.argv[1]).write_text(json.dumps(text, separators=(",", ":")).replace(',"blocks', ',\n"blocks') + "\n")
