"""The PyTorch side of `npm run bench`: the same Vision Transformers, forward and AdamW training step.

usage: python3 benchmarks/torch_baseline.py      reads one request per line from standard input
A request is a JSON object: {"id", "model": {"image", "patch", "channels", "width", "depth", "heads",
"classes", "pretrain"}, "task": "forward" | "train", "batch", "mode": "eager" | "compile",
"dtype": "float32" | "bfloat16" | "float16", "device": "cpu" (default) | "cuda", "threads", "seconds"}; on cuda float32 products
are TF32 unless NVIDIA_TF32_OVERRIDE=0, 16 bits are autocast, and peak_mb is memory of the card. The answer is {"id", "rates": [images per second
of each repetition], "peak_mb"} or {"id", "error"}. Models are made once and kept, so that requests can be
interleaved with those of another program.
"""

import gc
import json
import resource
import sys
import time

import torch
from torch import nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(y.transpose(1, 2).reshape(b, n, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Classifier(nn.Module):
    def __init__(self, image, patch, channels, width, depth, heads, classes, **_):
        super().__init__()
        self.patch = nn.Conv2d(channels, width, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.zeros(1, 1 + (image // patch) ** 2, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 1:].mean(1)))

    def loss(self, x, target):
        return F.cross_entropy(self(x), target)


class Autoencoder(nn.Module):
    """Masked pre-training: a quarter of the patches is encoded, a decoder of 2 x 96 predicts all."""

    def __init__(self, image, patch, channels, width, depth, heads, **_):
        super().__init__()
        self.count = (image // patch) ** 2
        self.keep = self.count // 4
        self.size = patch
        self.patch = nn.Conv2d(channels, width, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.zeros(1, 1 + self.count, width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.embed = nn.Linear(width, 96)
        self.mask = nn.Parameter(torch.zeros(1, 1, 96))
        self.decoder_pos = nn.Parameter(torch.zeros(1, 1 + self.count, 96), requires_grad=False)
        self.decoder = nn.ModuleList(Block(96, 3) for _ in range(2))
        self.decoder_norm = nn.LayerNorm(96, eps=1e-6)
        self.predict = nn.Linear(96, patch * patch * channels)

    def loss(self, x, target):
        b, c, h, w = x.shape
        p = self.size
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.pos[:, 1:]
        order = torch.argsort(torch.rand(b, self.count), 1)
        kept = order[:, : self.keep]
        tokens = torch.gather(tokens, 1, kept[..., None].expand(-1, -1, tokens.shape[2]))
        cls = (self.cls + self.pos[:, :1]).expand(b, -1, -1)
        x1 = torch.cat([cls, tokens], 1)
        for block in self.blocks:
            x1 = block(x1)
        y = self.embed(self.norm(x1))
        full = torch.cat([y[:, 1:], self.mask.expand(b, self.count - self.keep, -1)], 1)
        restore = torch.argsort(order, 1)
        full = torch.gather(full, 1, restore[..., None].expand(-1, -1, 96))
        y = torch.cat([y[:, :1], full], 1) + self.decoder_pos
        for block in self.decoder:
            y = block(y)
        y = self.predict(self.decoder_norm(y))[:, 1:]
        patches = x.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1)
        return F.mse_loss(y, patches.reshape(b, self.count, p * p * c))


class LeNet(nn.Module):
    def __init__(self, channels, classes, **_):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.skip = nn.Identity()
        if stride > 1:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.skip(x))


class CifarResNet(nn.Module):
    def __init__(self, channels, classes, blocks, **_):
        super().__init__()
        shapes = [(16, 16, 1)] * blocks + [(16, 32, 2)] + [(32, 32, 1)] * (blocks - 1)
        shapes += [(32, 64, 2)] + [(64, 64, 1)] * (blocks - 1)
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(*(Residual(*shape) for shape in shapes))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


CONVNETS = {
    "lenet": LeNet,
    "cifar_resnet20": lambda **shape: CifarResNet(blocks=3, **shape),
    "cifar_resnet110": lambda **shape: CifarResNet(blocks=18, **shape),
}


class WithLoss(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)

    def loss(self, x, target):
        return F.cross_entropy(self.model(x), target)


def network(shape):
    if shape.get("convnet"):
        return WithLoss(CONVNETS[shape["convnet"]](**shape))
    return (Autoencoder if shape.get("pretrain") else Classifier)(**shape)


prepared = {}


def finished(result):
    """The result, once the card has computed it."""
    if result.is_cuda:
        torch.cuda.synchronize()
    return result


def prepare(request):
    device = request.get("device", "cpu")
    name = json.dumps([request[k] for k in ("model", "task", "batch", "mode", "dtype")] + [device])
    if name in prepared:
        return prepared[name]
    torch.manual_seed(0)
    shape = request["model"]
    model = network(shape)
    if request["task"] != "train":
        model.eval()
    if shape.get("convnet") and request["mode"] != "compile":
        model = model.to(memory_format=torch.channels_last)  # the faster of the two here
    model = model.to(device)
    batch = request["batch"]
    x = torch.rand(batch, shape["channels"], shape["image"], shape["image"], device=device)
    target = torch.randint(0, shape["classes"], (batch,), device=device)
    low = request["dtype"] != "float32"
    half = torch.float16 if request["dtype"] == "float16" else torch.bfloat16
    scaler = torch.amp.GradScaler(device, enabled=half == torch.float16 and low)

    def autocast():
        return torch.autocast(device, half, enabled=low)

    def forward():
        with torch.inference_mode(), autocast():
            return finished(fn(x))

    fused = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def train():
        fused.zero_grad(set_to_none=True)
        with autocast():
            loss = fn(x, target)
        scaler.scale(loss).backward()
        scaler.step(fused)
        scaler.update()
        return loss.item()

    def certify():
        noisy = x[:1] + 0.25 * torch.randn(batch, *x.shape[1:], device=device)
        with torch.inference_mode(), autocast():
            return finished(torch.bincount(fn(noisy).argmax(1), minlength=shape["classes"]))

    body = model.loss if request["task"] == "train" else model
    fn = torch.compile(body) if request["mode"] == "compile" else body
    prepared[name] = {"forward": forward, "train": train, "certify": certify}[request["task"]]
    return prepared[name]


def answer(request):
    torch.set_num_threads(request["threads"])
    on_card = request.get("device") == "cuda"
    if on_card:
        torch.set_float32_matmul_precision("high")
        prepared.clear()
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    run = prepare(request)
    for _ in range(2):
        run()
    rates = []
    start = time.perf_counter()
    while not rates or time.perf_counter() - start < request["seconds"]:
        before = time.perf_counter()
        run()
        rates.append(request["batch"] / (time.perf_counter() - before))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if on_card:
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {"id": request["id"], "rates": rates, "peak_mb": peak}


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request.get("forget"):
                prepared.clear()
                gc.collect()
            result = answer(request)
        except Exception as error:  # reported to the caller, who prints it
            result = {"id": request["id"], "error": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps(result), flush=True)
