"""Records packages/convnet/src/__fixtures__/convnet.safetensors from the official networks.

    python convnet.py --cifar <cifar_resnet.py of locuslab/smoothing> --dncnn <dncnn.py of microsoft/denoised-smoothing> --out <file>

Networks in float64 on images of noise, one training pass and one evaluation: logits, the gradients of a cross entropy (of the mean
squared error of DnCNN) by every parameter and by the images, and the running statistics after the pass. Parameters and images are not stored: the test
makes them by the same formula (`values` below). Of a gradient with more than 120 values every k-th is stored, k = ceil(size / 120).
LeNet is written out here; ResNet-50 is torchvision's with fewer channels and blocks.
"""

import argparse
import importlib.util
import platform

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from safetensors.numpy import save_file


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(name, shape):
    """Element i of `name`: a hash of i and the name, divided by 2^32, in [0, 1); scaled for parameters."""
    h = np.arange(int(np.prod(shape)), dtype=np.uint32) + np.uint32(sum(map(ord, name)) * 40503)
    for multiplier, shift in ((2654435761, 15), (2246822507, 13), (3266489909, 16)):
        h = h * np.uint32(multiplier)
        h ^= h >> np.uint32(shift)
    u = h.astype(np.float64) / 2**32
    if name in ("images", "target"):
        v = u
    elif name.endswith("running_var"):
        v = 0.5 + u
    elif len(shape) == 1 and name.endswith("weight"):
        v = 0.75 + 0.5 * u
    elif len(shape) == 1:
        v = 0.4 * (u - 0.5)
    else:
        v = (u - 0.5) * np.sqrt(24 / np.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32).astype(np.float64).reshape(shape))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def cifar(module, blocks, width):
    model = module.ResNet(depth=20, num_classes=10)
    model.inplanes = width
    model.conv1, model.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
    for i, count in enumerate(blocks):
        setattr(model, f"layer{i + 1}", model._make_layer(module.BasicBlock, width * 2**i, count, 1 + (i > 0)))
    model.fc = nn.Linear(4 * width, 10)
    return model


def resnet50(blocks, width):
    model = torchvision.models.resnet50(weights=None)
    model.inplanes = width
    model.conv1, model.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
    for i, count in enumerate(blocks):
        block = torchvision.models.resnet.Bottleneck
        setattr(model, f"layer{i + 1}", model._make_layer(block, width * 2**i, count, 1 + (i > 0)))
    model.fc = nn.Linear(32 * width, 7)
    return model


def normalized(model, mean, std):
    mean, std = (torch.tensor(v, dtype=torch.float64).reshape(1, -1, 1, 1) for v in (mean, std))
    return lambda x: model((x - mean) / std)


def sample(v):
    flat = v.detach().flatten()
    return flat[:: -(-flat.numel() // 120)]


def main():
    parser = argparse.ArgumentParser()
    for flag in ("--cifar", "--dncnn", "--out"):
        parser.add_argument(flag, required=True)
    args = parser.parse_args()
    official = load("cifar_resnet", args.cifar)
    cifar_norm = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    imagenet_norm = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    cases = {
        "lenet": (LeNet(), None, (3, 1, 28, 28)),
        "cifar_resnet20": (official.resnet(depth=20, num_classes=10), cifar_norm, (2, 3, 32, 32)),
        "cifar_small": (cifar(official, [2, 1, 1], 4), cifar_norm, (3, 3, 32, 32)),
        "resnet50": (resnet50([2, 1, 1, 1], 4), imagenet_norm, (4, 3, 70, 70)),
        "dncnn": (load("dncnn", args.dncnn).DnCNN(depth=4, n_channels=6, image_channels=3), None, (2, 3, 9, 9)),
    }
    out = {}
    for name, (model, norm, shape) in cases.items():
        model = model.double()
        state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
        model.load_state_dict({k: values(k, tuple(v.shape)) for k, v in state.items()}, strict=False)
        apply = normalized(model, *norm) if norm else model
        images, target = values("images", shape).requires_grad_(), values("target", shape)
        model.eval()
        out[f"{name}.eval"] = apply(images)
        model.train()
        y = apply(images)
        labels = torch.arange(shape[0]) * 3 % y.shape[1]
        loss = F.mse_loss(y, target) if name == "dncnn" else F.cross_entropy(y, labels)
        loss.backward()
        out |= {f"{name}.train": y, f"{name}.loss": loss, f"{name}.grad.images": sample(images.grad)}
        for k, v in model.named_parameters():
            out[f"{name}.grad.{k}"] = sample(v.grad)
        for k, v in model.named_buffers():
            if not k.endswith("num_batches_tracked"):
                out[f"{name}.buffer.{k}"] = v
    save_file(
        {k: np.ascontiguousarray(v.detach().numpy().astype(np.float32)) for k, v in out.items()},
        args.out,
        metadata={
            "command": "python testing/reference/convnet.py --cifar … --dncnn … --out <this file>",
            "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}, numpy {np.__version__}, python {platform.python_version()}",
            "sources": "locuslab/smoothing 78a4d94 code/archs/cifar_resnet.py, microsoft/denoised-smoothing 9500d0e code/archs/dncnn.py",
            "dtype": "computed in float64, stored as float32; images and kernels in PyTorch's layouts",
        },
    )


main()
