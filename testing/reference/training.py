"""Records the fixtures of @dmae/train, @dmae/pretrain and @dmae/finetune from the official training code.

    python training.py --dmae <checkout of quanlin-wu/dmae> --packages <packages>

The official loops (engine_pretrain.py, engine_finetune.py, util/lars.py, util/lr_decay.py, util/lr_sched.py,
timm 0.5.4 for Mixup and weight-decay groups) run in float64 on small models and synthetic images; only what draws
random numbers, and torchvision's Resize, is replaced by recorded draws and bicubic interpolation without antialiasing.
"""

import argparse
import contextlib
import io
import json
import platform
import sys
import types
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

SEED = 23000
SIDE = 56  # the models' own image size
PATCH = 8
RAND, RANDN = torch.rand, torch.randn
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)


class Resize:
    def __init__(self, size, interpolation=None):
        pass

    def __call__(self, x):
        return F.interpolate(x, size=(SIDE, SIDE), mode="bicubic", align_corners=False)


def prepare(path):
    """Makes the official modules importable on this machine: no torchvision, no CUDA, no torch._six."""
    for name in ("", ".models", ".models.feature_extraction", ".ops", ".ops.misc", ".datasets", ".transforms.functional"):
        sys.modules["torchvision" + name] = MagicMock()
    transforms = MagicMock()
    transforms.Resize = Resize
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"] = transforms
    six = types.ModuleType("torch._six")
    six.inf = float("inf")
    sys.modules["torch._six"] = six
    np.float = float
    torch.cuda.synchronize = lambda: None
    sys.path.insert(0, path)


class Recorder:
    """Stands in for torch's draws: hands out recorded ones."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.log = {}

    def draw(self, name, shape, uniform=False):
        value = (RAND if uniform else RANDN)(shape, generator=self.generator).double()
        self.log.setdefault(name, []).append(value)
        return value

    @contextlib.contextmanager
    def patched(self):
        keep = torch.rand, torch.randn_like
        torch.randn_like = lambda x: self.draw("noise", x.shape)
        torch.rand = lambda *shape, device=None: self.draw("mask_noise", shape, uniform=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            torch.rand, torch.randn_like = keep


def pictures(generator, count, side):
    field = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = F.interpolate(field, size=(side, side), mode="bilinear", align_corners=False)
    return (smooth * 255).round().to(torch.uint8)


def randomize(model, seed):
    """Values everywhere, so that nothing hides behind a zero bias or a unit gain."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad:  # fixed sine-cosine positions
            continue
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        draw = torch.randn(parameter.shape, generator=generator) * fan_in**-0.5
        if "norm" in name and name.endswith("weight"):
            draw = draw + 1
        parameter.data.copy_(draw)
    model.double()
    model.mean = torch.tensor(MEAN, dtype=torch.float64).reshape(1, 3, 1, 1)
    model.std = torch.tensor(STD, dtype=torch.float64).reshape(1, 3, 1, 1)
    return model


def snapshot(model):
    return {name: parameter.detach().clone() for name, parameter in model.state_dict().items()}


def watch(optimizer, model):
    """Gradients before and parameters and moments after each optimizer step."""
    steps = []
    real = optimizer.step
    names = {id(p): n for n, p in model.named_parameters()}

    def step(*args, **kwargs):
        grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        result = real(*args, **kwargs)
        state = {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                for key, value in optimizer.state.get(p, {}).items():
                    if torch.is_tensor(value) and value.ndim > 0:
                        state[f"{key}.{names[id(p)]}"] = value.clone()
        steps.append((grads, snapshot(model), state))
        return result

    optimizer.step = step
    return steps


def save(path, tensors, **notes):
    path.parent.mkdir(exist_ok=True)
    arrays = {}
    for name, value in tensors.items():
        array = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)
        if array.dtype == np.float64 and not name.endswith("64"):
            array = array.astype(np.float32)
        arrays[name] = np.ascontiguousarray(array)
    import timm

    save_file(arrays, path, metadata={
        "command": "python testing/reference/training.py --dmae <quanlin-wu/dmae at 782f139427> --packages packages",
        "versions": f"torch {torch.__version__}, timm {timm.__version__}, numpy {np.__version__}, python {platform.python_version()}",
        "seed": str(SEED),
        "dtype": "computed in float64, stored as float32",
        **{key: value if isinstance(value, str) else json.dumps(value) for key, value in notes.items()},
    })


def nhwc(x):
    return x.movedim(-3, -1)


def with_prefix(prefix, record):
    return {prefix + name: value for name, value in record.items()}


def pretrain(out):
    import engine_pretrain
    import models_dmae
    import timm.optim.optim_factory as optim_factory
    from util.misc import NativeScalerWithGradNormCount

    shape = dict(img_size=SIDE, patch_size=PATCH, embed_dim=16, depth=2, num_heads=2,
                 decoder_embed_dim=12, decoder_depth=1, decoder_num_heads=3, mlp_ratio=4)
    batch, side, micro, accumulate = 2, 20, 6, 2
    args = types.SimpleNamespace(accum_iter=accumulate, mask_ratio=0.75, lr=4e-3, min_lr=1e-5, warmup_epochs=1, epochs=3)
    images = pictures(torch.Generator().manual_seed(SEED), micro * batch, side)
    loader = [(x, None) for x in (images.double() / 255).float().double().split(batch)]
    build = lambda: randomize(models_dmae.DenoisingMaskedAutoencoderViT(
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), sigma=0.25, **shape), SEED + 1)
    tensors, notes = {}, {}
    for norm_pix in (False, True):
        model = build()
        model.norm_pix_loss = norm_pix
        recorder = Recorder(SEED + 2)
        with recorder.patched():
            latents = []
            hook = model.norm.register_forward_hook(lambda _m, _i, o: latents.append(o))
            loss, prediction, mask = model(loader[0][0], mask_ratio=args.mask_ratio)
            hook.remove()
        loss.backward()
        key = f"norm_pix_{str(norm_pix).lower()}"
        tensors[f"{key}.loss64"] = loss.reshape(1)
        kept = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        tensors |= with_prefix(f"{key}.grad.", kept)
        target = model.patchify((Resize(0)(loader[0][0]) - model.mean) / model.std)
        per_patch = ((prediction - target) ** 2).mean(dim=-1)  # what MAE averages over hidden patches
        if not norm_pix:
            tensors |= {"prediction": prediction, "latent": latents[0], "mask": mask}
            tensors["masked_loss64"] = ((per_patch * mask).sum() / mask.sum()).reshape(1)
    model = build()
    model.norm_pix_loss = True
    tensors |= with_prefix("param.", snapshot(model))
    groups = optim_factory.add_weight_decay(model, 0.05)
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95))
    names = {id(p): n for n, p in model.named_parameters()}
    notes["groups"] = [
        {"weight_decay": g["weight_decay"], "params": [names[id(p)] for p in g["params"]]} for g in optimizer.param_groups
    ]
    steps = watch(optimizer, model)
    losses = []
    forward = model.forward
    model.forward = lambda *a, **k: (lambda r: (losses.append(r[0].item()), r)[1])(forward(*a, **k))
    recorder = Recorder(SEED + 2)
    with recorder.patched():
        engine_pretrain.train_one_epoch(model, loader, optimizer, torch.device("cpu"), 0, NativeScalerWithGradNormCount(), args=args)
    for i, (_, params, state) in enumerate(steps):
        trained = {n: v for n, v in params.items() if "pos_embed" not in n}
        if i != 0:  # the first step has learning rate 0
            tensors |= with_prefix(f"after{i + 1}.", trained)
        if i == 1:
            tensors |= with_prefix("state2.", state)
    tensors["images_u8"] = nhwc(images.reshape(micro, batch, 3, side, side))
    tensors["noise"] = nhwc(torch.stack(recorder.log["noise"]))
    tensors["mask_noise"] = torch.stack(recorder.log["mask_noise"])
    tensors["losses64"] = torch.tensor(losses, dtype=torch.float64)
    save(out, tensors, shape=shape, mean=MEAN, std=STD, sigma=0.25, settings=vars(args), batch_size=batch, **notes)


class Kept(torch.nn.Module):
    """Stochastic depth with recorded scales."""

    def __init__(self, rate, log, generator):
        super().__init__()
        self.rate, self.log, self.generator = rate, log, generator

    def forward(self, x):
        keep = (RAND(x.shape[0], generator=self.generator) >= self.rate).double() / (1 - self.rate)
        self.log.append(keep)
        return x * keep.reshape(-1, 1, 1)


def record_mixup(mixup_fn, log):
    """Keeps what Mixup drew: lambda and, for CutMix, the box."""
    import timm.data.mixup as module

    params = mixup_fn._params_per_batch
    corrected = getattr(module.cutmix_bbox_and_lam, "official", module.cutmix_bbox_and_lam)

    def params_per_batch():
        lam, use_cutmix = params()
        log.append({"kind": "cutmix" if use_cutmix else "mixup", "lambda": float(lam)})
        return lam, use_cutmix

    def bbox(*args, **kwargs):
        box, lam = corrected(*args, **kwargs)
        log[-1] |= {"box": [int(v) for v in box], "lambda": float(lam)}
        return box, lam

    bbox.official = corrected
    mixup_fn._params_per_batch = params_per_batch
    module.cutmix_bbox_and_lam = bbox


def save_after(optimizer, model, update, folder):
    """Saves the official checkpoint of a run, with its optimizer, after so many updates."""
    from util.misc import NativeScalerWithGradNormCount, save_model

    real, done = optimizer.step, []

    def step(*args, **kwargs):
        result = real(*args, **kwargs)
        done.append(None)
        if len(done) == update:
            settings = argparse.Namespace(output_dir=str(folder))
            save_model(settings, f"cls-update-{update}", model, model, optimizer, NativeScalerWithGradNormCount())
        return result

    optimizer.step = step


def finetune(out):
    import engine_finetune
    import models_vit
    import util.lr_decay as lr_decay
    from timm.data import Mixup
    from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
    from util.misc import NativeScalerWithGradNormCount

    shape = dict(img_size=SIDE, patch_size=PATCH, embed_dim=16, depth=2, num_heads=2, mlp_ratio=4, num_classes=5)
    batch, side, epoch = 4, 20, 1
    images = pictures(torch.Generator().manual_seed(SEED + 10), 6 * batch, side)
    targets = torch.randint(0, 5, (6, batch), generator=torch.Generator().manual_seed(SEED + 11))
    loader = list(zip((images.double() / 255).float().double().split(batch), targets))
    tensors = {"images_u8": nhwc(images.reshape(6, batch, 3, side, side)), "targets": targets}
    notes = {}
    variants = {
        "gp": dict(global_pool=True, con_reg=True, mix=False, accum_iter=1, drop_path=0.2, clip=1.0, micro=3),
        "cls": dict(global_pool=False, con_reg=True, mix=True, accum_iter=2, drop_path=0.0, clip=None, micro=6),
        "rs": dict(global_pool=True, con_reg=False, mix=True, accum_iter=1, drop_path=0.0, clip=None, micro=3),
    }
    for name, v in variants.items():
        model = models_vit.VisionTransformer(
            global_pool=v["global_pool"], qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **shape)
        model = randomize(model, SEED + 12)
        args = types.SimpleNamespace(
            accum_iter=v["accum_iter"], sigma=0.25, num_noise_sample=2, reg_lbd=2.0, reg_eta=0.5,
            lr=1e-3, min_lr=1e-6, warmup_epochs=1, epochs=3)
        groups = lr_decay.param_groups_lrd(
            model, 0.05, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.65)
        by_id = {id(p): n for n, p in model.named_parameters()}
        notes[f"{name}_groups"] = {
            by_id[id(p)]: [g["lr_scale"], g["weight_decay"]] for g in groups for p in g["params"]}
        optimizer = torch.optim.AdamW(groups, lr=args.lr)
        if name != "rs":  # its parameters are those of gp
            tensors |= with_prefix(f"{name}.param.", snapshot(model))
        if name == "cls":
            save_after(optimizer, model, 2, out.parent)
        steps = watch(optimizer, model)
        recorder, drops, mixing, mixup_fn = Recorder(SEED + 13), [], [], None
        if v["drop_path"] > 0:
            generator = torch.Generator().manual_seed(SEED + 14)
            for block, rate in zip(model.blocks, torch.linspace(0, v["drop_path"], shape["depth"]).tolist()):
                block.drop_path = Kept(rate, drops, generator)
        criterion = LabelSmoothingCrossEntropy(smoothing=0.1)
        if v["mix"]:
            np.random.seed(SEED + (15 if v["con_reg"] else 17))
            mixup_fn = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5, mode="batch",
                             label_smoothing=0.1, num_classes=5)
            record_mixup(mixup_fn, mixing)
            criterion = SoftTargetCrossEntropy()
        losses = []

        def observed(outputs, target, inner=criterion):
            loss = inner(outputs, target.to(outputs.dtype) if target.is_floating_point() else target)
            losses.append(loss.item())
            if target.is_floating_point():
                tensors[f"{name}.soft_targets.{len(losses) - 1}"] = target.float()
            return loss

        run = engine_finetune.train_one_epoch_con_reg if v["con_reg"] else engine_finetune.train_one_epoch
        if mixup_fn is not None:
            mix = mixup_fn
            mixup_fn = lambda x, t: (lambda r: (r[0], r[1].double()))(mix_on_cpu(mix, x, t))
        regular = []
        real_loss = engine_finetune.consistency_loss
        engine_finetune.consistency_loss = lambda *a: (lambda r: (regular.append(r.item()), r)[1])(real_loss(*a))
        with recorder.patched():
            run(model, observed, loader[: v["micro"]], optimizer, torch.device("cpu"), epoch,
                NativeScalerWithGradNormCount(), v["clip"], mixup_fn, args=args)
        engine_finetune.consistency_loss = real_loss
        tensors |= with_prefix(f"{name}.grad1.", steps[0][0]) if name != "rs" else {}
        tensors |= with_prefix(f"{name}.after1.", steps[0][1]) if name == "gp" else {}
        tensors |= with_prefix(f"{name}.state1.", steps[0][2]) if name == "gp" else {}
        tensors |= with_prefix(f"{name}.after3.", steps[2][1])
        tensors[f"{name}.noise"] = nhwc(torch.stack(recorder.log["noise"]))
        tensors[f"{name}.losses64"] = torch.tensor(losses, dtype=torch.float64)
        if regular:
            tensors[f"{name}.consistency64"] = torch.tensor(regular, dtype=torch.float64)
        if drops:
            tensors[f"{name}.dropPath"] = torch.stack(drops).reshape(v["micro"], shape["depth"], 2, -1)
        notes[f"{name}_settings"] = {**v, **vars(args), "epoch": epoch, "layer_decay": 0.65, "weight_decay": 0.05, "smoothing": 0.1}
        notes[f"{name}_mixing"] = mixing
    save(out, tensors, shape=shape, mean=MEAN, std=STD, batch_size=batch, **notes)


def mix_on_cpu(mixup_fn, x, target):
    """Mixup.__call__ makes its targets on CUDA by default."""
    import timm.data.mixup as module

    lam = mixup_fn._mix_batch(x)
    return x, module.mixup_target(target, mixup_fn.num_classes, lam, mixup_fn.label_smoothing, device="cpu")


def mixing(out):
    import timm.data.mixup as module

    generator = torch.Generator().manual_seed(SEED + 20)
    x = torch.rand(4, 3, 12, 12, generator=generator)
    target = torch.tensor([3, 1, 4, 1])
    tensors, cases = {"x": nhwc(x), "target": target}, []
    for i, (kind, lam, centre, smoothing) in enumerate([
        ("mixup", 0.3, None, 0.1), ("mixup", 0.8413, None, 0.0), ("cutmix", 0.6, (3, 10), 0.1),
        ("cutmix", 0.25, (6, 6), 0.1), ("cutmix", 0.97, (1, 1), 0.0), ("cutmix", 0.0, (0, 11), 0.1),
    ]):
        mixup_fn = module.Mixup(mixup_alpha=1.0, cutmix_alpha=1.0, label_smoothing=smoothing, num_classes=5)
        mixup_fn._params_per_batch = lambda lam=lam, kind=kind: (lam, kind == "cutmix")
        draws = iter(centre or ())
        keep = np.random.randint
        np.random.randint = lambda *a, **k: next(draws)
        mixed = x.clone()
        used = mixup_fn._mix_batch(mixed)
        np.random.randint = keep
        tensors[f"{i}.mixed"] = nhwc(mixed)
        tensors[f"{i}.targets"] = module.mixup_target(target, 5, used, smoothing, device="cpu")
        cases.append({"kind": kind, "lambda": lam, "centre": centre, "smoothing": smoothing, "used": float(used)})
    save(out, tensors, cases=cases)


def linear_probe(out):
    import engine_finetune
    import models_vit
    from util.lars import LARS
    from util.misc import NativeScalerWithGradNormCount

    shape = dict(img_size=SIDE, patch_size=PATCH, embed_dim=16, depth=1, num_heads=2, mlp_ratio=4, num_classes=5)
    batch, side, micro, accumulate = 6, 12, 8, 2
    images = pictures(torch.Generator().manual_seed(SEED + 30), micro * batch, side)
    targets = torch.randint(0, 5, (micro, batch), generator=torch.Generator().manual_seed(SEED + 31))
    model = models_vit.VisionTransformer(
        global_pool=False, qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **shape)
    model = randomize(model, SEED + 32)
    model.head.weight.data.mul_(0.1)
    encoder = {n: v for n, v in snapshot(model).items()}
    model.head = torch.nn.Sequential(torch.nn.BatchNorm1d(model.head.in_features, affine=False, eps=1e-6), model.head).double()
    for _, p in model.named_parameters():
        p.requires_grad = False
    for _, p in model.head.named_parameters():
        p.requires_grad = True
    weight_decay = 0.01  # the official run has 0; this exercises the term as well
    optimizer = LARS(model.head.parameters(), lr=0.5, weight_decay=weight_decay)
    args = types.SimpleNamespace(accum_iter=accumulate, sigma=0.25, lr=0.5, min_lr=0.0, warmup_epochs=1, epochs=4)
    losses, features = [], []
    model.head.register_forward_pre_hook(lambda _m, i: features.append(i[0].clone()))
    criterion = lambda o, t: (lambda r: (losses.append(r.item()), r)[1])(F.cross_entropy(o, t))
    loader = list(zip((images.double() / 255).float().double().split(batch), targets))
    after = []
    real = optimizer.step
    optimizer.step = lambda *a, **k: (real(*a, **k), after.append(snapshot(model.head)))[0]
    recorder = Recorder(SEED + 33)
    with recorder.patched():
        engine_finetune.train_one_epoch(model, criterion, loader, optimizer, torch.device("cpu"), 1,
                                        NativeScalerWithGradNormCount(), None, None, args=args)
    model.eval()
    logits = model.head(features[0].detach())
    tensors = with_prefix("param.", encoder)
    tensors |= {"images_u8": nhwc(images.reshape(micro, batch, 3, side, side)), "targets": targets,
                "noise": nhwc(torch.stack(recorder.log["noise"])), "features": torch.stack(features[:micro]),
                "losses64": torch.tensor(losses, dtype=torch.float64), "eval_logits_of_features0": logits}
    for i, state in enumerate(after):
        tensors |= with_prefix(f"after{i + 1}.head.", {k: v for k, v in state.items() if v.ndim > 0})
    save(out, tensors, shape=shape, mean=MEAN, std=STD, batch_size=batch,
         settings={**vars(args), "weight_decay": weight_decay, "momentum": 0.9, "trust_coefficient": 0.001, "epoch": 1})


def optimizers(out):
    from util.lars import LARS

    generator = torch.Generator().manual_seed(SEED + 40)
    shapes = {"weight": (3, 4), "bias": (4,), "zero": (2, 2)}
    start = {n: torch.randn(s, generator=generator) for n, s in shapes.items()}
    start["zero"] = torch.zeros(2, 2)
    grads = [{n: torch.randn(s, generator=generator) for n, s in shapes.items()} for _ in range(4)]
    rates = [0.0, 0.1, 0.05, 0.02]
    make = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "lars": lambda p: LARS(p, lr=0.1, weight_decay=0.05, momentum=0.9, trust_coefficient=0.01),
    }
    tensors = with_prefix("start.", start)
    for i, g in enumerate(grads):
        tensors |= with_prefix(f"grad{i}.", g)
    for name, build in make.items():
        params = {n: torch.nn.Parameter(v.clone().double()) for n, v in start.items()}
        optimizer = build(list(params.values()))
        for i, g in enumerate(grads):
            for n, p in params.items():
                p.grad = g[n].double()
            optimizer.param_groups[0]["lr"] = rates[i]
            optimizer.step()
            tensors |= with_prefix(f"{name}.after{i}.", {n: p.data.clone() for n, p in params.items()})
    norm_in = [g.clone().double() for g in grads[0].values()]
    holders = [torch.nn.Parameter(torch.zeros_like(g)) for g in norm_in]
    for h, g in zip(holders, norm_in):
        h.grad = g
    norm = torch.nn.utils.clip_grad_norm_(holders, 1.5)
    tensors |= {"clip.norm": norm.reshape(1), **{f"clip.{n}": h.grad for n, h in zip(shapes, holders)}}
    save(out, tensors, rates=rates)


def schedules(out):
    import util.lr_sched as lr_sched

    settings = [
        ("pretrain ViT-B", 1.5e-4 * 4096 / 256, 0.0, 40, 1100), ("pretrain ViT-L", 1.5e-4 * 4096 / 256, 0.0, 40, 1600),
        ("continued CIFAR-10", 5e-5 * 512 / 256, 0.0, 10, 50), ("finetune ViT-B", 5e-4 * 1024 / 256, 1e-6, 5, 100),
        ("finetune ViT-L", 1e-3 * 1024 / 256, 1e-6, 5, 50), ("linear probe", 0.1 * 16384 / 256, 0.0, 10, 90),
        ("no warm-up", 1e-3, 1e-6, 0, 10),
    ]
    rows = []
    for name, lr, min_lr, warmup, epochs in settings:
        args = types.SimpleNamespace(lr=lr, min_lr=min_lr, warmup_epochs=warmup, epochs=epochs)
        points = sorted({0, 0.001, 0.37, warmup / 2, warmup, warmup + 0.001, epochs / 3, epochs / 2, epochs - 1, epochs - 0.001})
        optimizer = types.SimpleNamespace(param_groups=[{}])
        rows.append({"name": name, **vars(args), "points": [
            [e, (lr_sched.adjust_learning_rate(optimizer, e, args), optimizer.param_groups[0]["lr"])[1]] for e in points]})
    note = "util/lr_sched.py of quanlin-wu/dmae at 782f139427, by testing/reference/training.py; points are [epoch, learning rate]"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"source": note, "settings": rows}, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dmae", required=True)
    parser.add_argument("--packages", type=Path, required=True)
    args = parser.parse_args()
    prepare(args.dmae)
    at = lambda package, file: args.packages / package / "src/__fixtures__" / file
    pretrain(at("pretrain", "pretrain.safetensors"))
    finetune(at("finetune", "finetune.safetensors"))
    mixing(at("finetune", "mixing.safetensors"))
    linear_probe(at("finetune", "linear-probe.safetensors"))
    optimizers(at("train", "optimizers.safetensors"))
    schedules(at("train", "schedules.json"))


main()
