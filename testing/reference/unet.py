"""Output and gradients of the U-Net of packages/convnet/src/unet.ts, written independently in PyTorch, in float64.

usage: python testing/reference/unet.py > packages/convnet/src/__fixtures__/unet.json      (torch 2.13 CPU)
Parameter number k, value number i: 0.3 sin(0.7 i + k); image: 0.5 sin(0.3 i); times 3 and 250.5. The loss is the sum of
output_i cos(i). Parameters are taken in the order of `named_parameters` below, which is that of unet.ts.
"""

import json
import math

import torch
from torch import nn
import torch.nn.functional as F

CHANNELS, WIDTH, LEVELS = 2, 8, 2
TIME = 4 * WIDTH


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(TIME, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(8, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, time):
        y = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (self.skip(x) if hasattr(self, "skip") else x)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.ModuleList([nn.Linear(WIDTH, TIME), nn.Linear(TIME, TIME)])
        self.first = nn.Conv2d(CHANNELS, WIDTH, 3, padding=1)
        sizes = [WIDTH * 2**level for level in range(LEVELS)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for size in sizes:
            block = Block(size, size)
            if size != sizes[-1]:
                block.down = nn.Conv2d(size, 2 * size, 3, 2, 1)
            self.down.append(block)
        self.middle = Block(sizes[-1], sizes[-1])
        for level, size in enumerate(sizes):
            block = Block(2 * size, size)
            if level > 0:
                block.up = nn.Conv2d(size, size // 2, 3, padding=1)
            self.up.append(block)
        self.norm, self.last = nn.GroupNorm(8, WIDTH), nn.Conv2d(WIDTH, CHANNELS, 3, padding=1)

    def forward(self, x, time):
        frequencies = torch.exp(-math.log(10000) * torch.arange(WIDTH // 2) / (WIDTH // 2))
        angles = time[:, None] * frequencies
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], 1)
        emb = F.silu(self.time[1](F.silu(self.time[0](waves))))
        x, across = self.first(x), []
        for block in self.down:
            x = block(x, emb)
            across.append(x)
            x = block.down(x) if hasattr(block, "down") else x
        x = self.middle(x, emb)
        for block in reversed(self.up):
            x = block(torch.cat([x, across.pop()], 1), emb)
            x = block.up(F.interpolate(x, scale_factor=2, mode="nearest")) if hasattr(block, "up") else x
        return self.last(F.silu(self.norm(x)))


def order(name):
    """The order of unet.ts: what `named_parameters` gives, the blocks' own convolutions down and up after them."""
    first = ["time", "first", "down", "middle", "up", "norm", "last"]
    inner = ["norm1", "conv1", "time", "norm2", "conv2", "skip", "down", "up"]
    parts = name.split(".")
    place = int(parts[1]) if parts[1].isdigit() else 0
    part = next((p for p in parts[1:] if p in inner), "norm1")
    return first.index(parts[0]), place, inner.index(part), 0 if parts[-1] == "weight" else 1


torch.set_default_dtype(torch.float64)
net = UNet()
named = sorted(net.named_parameters(), key=lambda item: order(item[0]))
for k, (_, parameter) in enumerate(named):
    parameter.data = (0.3 * torch.sin(0.7 * torch.arange(parameter.numel()) + k)).reshape(parameter.shape)
x = (0.5 * torch.sin(0.3 * torch.arange(2 * 4 * 4 * CHANNELS))).reshape(2, 4, 4, CHANNELS)  # NHWC
y = net(x.permute(0, 3, 1, 2), torch.tensor([3.0, 250.5])).permute(0, 2, 3, 1)
(y.flatten() * torch.cos(torch.arange(y.numel()))).sum().backward()
print(json.dumps({
    "torch": torch.__version__,
    "names": [name for name, _ in named],
    "output": [float(f"{v:.9g}") for v in y.flatten().tolist()],
    "gradients": {
        name: [float(f"{v:.9g}") for v in (p.grad.norm().item(), (p.grad.flatten() * torch.cos(torch.arange(p.numel()))).sum().item())]
        for name, p in named
    },
}))
