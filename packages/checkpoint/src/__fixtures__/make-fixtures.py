"""Writes the fixtures of the checkpoint reader beside this script.

    pip install torch==2.13.0 numpy==2.4.6 && python make-fixtures.py

- digests.json: SHA-256 of the bytes of every tensor of the official checkpoints, as PyTorch reads them.
- torch-2.13.pth: what a current PyTorch writes (byteorder, alignment, uint16 through
  _rebuild_tensor_v3, an expanded view), and no-checksums.pth: the same without CRC-32.

pretrain-*.pth and finetune-*.pth were written by util/misc.py save_model of the official code
(quanlin-wu/dmae @ 782f139427, torch 1.13.0a0, timm 0.5.4) from models 24 wide with random weights
(seeds 11001, 11002, 11004, 11010): pretrain-0 before any step, pretrain-3 after three steps with its
AdamW state and storages on cuda:0, finetune-gp and -cls from main_finetune.py's loading, global pool
and class token. pretrain.json and finetune-*.json hold the groups and key lists recorded with them.
edge-*.pth and edge-expected.safetensors were written by torch.save in the same run (seed 11700).
"""

import hashlib
import json
import pathlib

import numpy
import torch

here = pathlib.Path(__file__).parent


def digest(tensor):
    data = tensor.contiguous()
    if data.dtype == torch.bfloat16:
        data = data.view(torch.int16)
    array = data.numpy()
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
    }


def walk(value, name, found):
    if torch.is_tensor(value):
        found[name] = digest(value.detach())
    elif isinstance(value, dict):
        for key, child in value.items():
            walk(child, f"{name}.{key}" if name else str(key), found)
    return found


torch.manual_seed(0)
base = torch.randn(3, 4)
tensors = {
    "float32": base,
    "expanded": base[:1].expand(5, 4),
    "column": base[:, 1],
    "uint16": torch.tensor([0, 65535], dtype=torch.uint16),
    "uint32": torch.tensor([4294967295], dtype=torch.uint32),
    "size": torch.Size([1, 2]),
    "device": torch.device("cuda", 1),
    "dtype": torch.float32,
    "bytes": b"\x00\xff",
    "set": {1, 2},
}
torch.save(tensors, here / "torch-2.13.pth")
torch.serialization.set_crc32_options(False)
torch.save(tensors, here / "no-checksums.pth")

names = ["pretrain-0", "pretrain-3", "finetune-gp", "finetune-cls", "torch-2.13", "no-checksums"]
digests = {
    name: walk(torch.load(here / f"{name}.pth", map_location="cpu", weights_only=False), "", {})
    for name in names
}
(here / "digests.json").write_text(json.dumps(digests, separators=(",", ":")))
print({name: len(tensors) for name, tensors in digests.items()}, torch.__version__, numpy.__version__)
