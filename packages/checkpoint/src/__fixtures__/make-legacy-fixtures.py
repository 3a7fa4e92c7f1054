"""Writes legacy.pth and legacy.json beside this script: the format of torch.save before PyTorch 1.6.

    pip install torch==2.14.1 numpy==2.4.6 && python make-legacy-fixtures.py

legacy.json holds, for every tensor, dtype, shape and SHA-256 of the bytes that torch.load gives. The file has
every dtype that torch.load takes from it, views, strides, shared and empty storages, a bias of zero elements, and what training
scripts of the field save beside the state dict (epoch, arch, best accuracy, an optimizer).
"""

import collections
import hashlib
import json
import pathlib

import torch

here = pathlib.Path(__file__).parent
torch.manual_seed(0)
base = torch.randn(6, 8)
state = collections.OrderedDict(
    {
        "conv1.weight": torch.randn(2, 3, 3, 3),
        "conv1.nhwc": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "base": base,
        "rows": base[2:4],
        "column": base[:, 3],
        "transposed": base.t(),
        "strided": base[1::2, ::3],
        "expanded": base[:1].expand(5, 8),
        "double": torch.randn(3, dtype=torch.float64),
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "int64": torch.tensor([2**53 + 1, -(2**62)]),
        "int32": torch.tensor([-(2**31), 7], dtype=torch.int32),
        "int16": torch.tensor([-32768, 5], dtype=torch.int16),
        "int8": torch.tensor([-128, 127, 3], dtype=torch.int8),
        "uint8": torch.arange(7, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "negated": torch.view_as_complex(torch.randn(3, 2)).conj().imag,
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
)
state["tied"] = state["conv1.weight"]
state._metadata = {"": {"version": 1}}
model = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.ones(1, 3)).sum().backward()
optimizer.step()
checkpoint = {
    "epoch": 90,
    "arch": "cifar_resnet110",
    "best_acc": torch.tensor(71.25),
    "state_dict": state,
    "optimizer": optimizer.state_dict(),
}
torch.save(checkpoint, here / "legacy.pth", _use_new_zipfile_serialization=False)


def digest(tensor):
    data = tensor.detach().resolve_neg().contiguous()
    raw = bytes(data.flatten().view(torch.uint8).tolist()) if data.numel() else b""
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


loaded = torch.load(here / "legacy.pth", weights_only=False)["state_dict"]
(here / "legacy.json").write_text(json.dumps({k: digest(v) for k, v in loaded.items()}, separators=(",", ":")))
print(len(loaded), "tensors", torch.__version__)
