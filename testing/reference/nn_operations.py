"""Records packages/nn/src/__fixtures__/operations.safetensors with PyTorch autograd in float64.

    python nn_operations.py --out <file>

Random float32 inputs; outputs and gradients of sum(output * dy) computed in float64, stored as float32.
"""

import argparse
import platform

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

SEED = 22000


def attention(qkv, heads):
    """timm's order of the last axis: (query, key, value) x head x channel."""
    batch, tokens, width = qkv.shape
    q, k, v = qkv.reshape(batch, tokens, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width // 3)


CASES = {
    "linear": (dict(x=(2, 3, 5), weight=(4, 5), bias=(4,)), lambda t: F.linear(t["x"], t["weight"], t["bias"])),
    "layerNorm": (
        dict(x=(3, 4, 6), gain=(6,), bias=(6,)),
        lambda t: F.layer_norm(t["x"], (6,), t["gain"], t["bias"], 1e-6),
    ),
    "gelu": (dict(x=(4, 25)), lambda t: F.gelu(t["x"])),
    "attention": (dict(qkv=(2, 5, 24)), lambda t: attention(t["qkv"], 2)),
    "dropPath": (dict(x=(3, 2, 4), scale=(3,)), lambda t: t["x"] * t["scale"].reshape(3, 1, 1)),
    "softmaxCrossEntropy": (
        dict(logits=(4, 7), targets=(4, 7)),
        lambda t: -(t["targets"] * F.log_softmax(t["logits"], 1)).sum(1),
    ),
    # Appended, so that the draws of the others stay.
    "batchNorm": (
        dict(x=(3, 2, 4, 5), gain=(5,), bias=(5,)),
        lambda t: F.batch_norm(t["x"].permute(0, 3, 1, 2), None, None, t["gain"], t["bias"], True, 0, 1e-5).permute(0, 2, 3, 1),
    ),
    "conv2d": (dict(x=(2, 6, 5, 3), weight=(4, 3, 3, 2), bias=(4,)), lambda t: conv2d(t)),
    "conv2dPadded": (dict(x=(2, 5, 6, 2), weight=(3, 2, 3, 3)), lambda t: conv2d(t, 1, 1)),
    "conv2dStrided": (dict(x=(2, 7, 8, 2), weight=(3, 2, 3, 3)), lambda t: conv2d(t, 2, 1)),
    "conv2dLeftOver": (dict(x=(2, 8, 6, 2), weight=(3, 2, 3, 3)), lambda t: conv2d(t, 3, 0)),
    "conv2dSkipping": (dict(x=(2, 5, 6, 3), weight=(4, 3, 1, 1)), lambda t: conv2d(t, 2, 0)),
    "conv2dWide": (dict(x=(1, 9, 9, 1), weight=(2, 1, 7, 7)), lambda t: conv2d(t, 2, 3)),
}


def conv2d(t, stride=1, padding=0):
    y = F.conv2d(t["x"].permute(0, 3, 1, 2), t["weight"], t.get("bias"), stride, padding)
    return y.permute(0, 2, 3, 1)



def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(SEED)

    def draw(shape, scale=1.0):
        return (scale * torch.randn(shape, generator=generator)).double()

    out = {}
    for name, (shapes, fn) in CASES.items():
        scale = 3.0 if name == "gelu" else 1.0
        inputs = {k: draw(s, scale if k == "x" else 1.0) for k, s in shapes.items()}
        if name in ("layerNorm", "batchNorm"):
            inputs["x"] = inputs["x"] * 2 + 5  # a mean that does not vanish
        if name == "softmaxCrossEntropy":
            inputs["targets"] = torch.softmax(inputs["targets"], 1).float().double()
        inputs = {k: v.float().double().requires_grad_() for k, v in inputs.items()}
        y = fn(inputs)
        dy = draw(y.shape)
        (y * dy).sum().backward()
        for k, v in inputs.items():
            out[f"{name}.{k}"] = v
            out[f"{name}.grad.{k}"] = v.grad
        out[f"{name}.y"], out[f"{name}.dy"] = y, dy
    save_file(
        {k: np.ascontiguousarray(v.detach().numpy().astype(np.float32)) for k, v in out.items()},
        args.out,
        metadata={
            "command": "python testing/reference/nn_operations.py --out <this file>",
            "versions": f"torch {torch.__version__}, numpy {np.__version__}, python {platform.python_version()}",
            "seed": str(SEED),
            "dtype": "computed in float64, stored as float32",
        },
    )


main()
