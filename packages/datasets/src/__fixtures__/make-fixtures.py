"""Writes pil.safetensors, pil.json and picture.jpg: what Pillow, timm 0.5.4 and torchvision's rules make of a drawn picture.

Run with Python 3.11, pillow 9.4.0, numpy 1.26.4, timm 0.5.4 (only its data/auto_augment.py is loaded), safetensors:
    python make-fixtures.py
The picture is drawn below; no photograph is involved.
"""

import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

here = Path(__file__).parent
package = Path(importlib.util.find_spec("timm").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("auto_augment", package / "data" / "auto_augment.py")
timm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(timm)


def picture(height, width, seed):
    """Gradients, hard edges, thin lines, saturated patches and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.stack([255 * x / width, 255 * y / height, 128 + 127 * np.sin((x + 2 * y) / 5)], axis=-1)
    out[height // 4 : height // 2, width // 5 : width // 2] = [250, 20, 40]
    out[:, width // 3] = [0, 0, 0]
    out[2 * height // 3, :] = [255, 255, 255]
    disc = (y - 0.7 * height) ** 2 + (x - 0.7 * width) ** 2 < (0.2 * height) ** 2
    out[disc] = 255 - out[disc]
    out += rng.normal(0, 12, out.shape)
    return Image.fromarray(out.clip(12, 240).astype(np.uint8), "RGB")


tensors = {}
notes = {}


def keep(name, image):
    tensors[name] = np.ascontiguousarray(np.asarray(image))


# Bicubic resize
small = picture(32, 40, 1)
large = picture(61, 47, 2)
keep("small", small)
keep("large", large)
sizes = [(61, 47), (20, 33), (90, 47), (61, 100), (7, 5), (1, 1), (64, 50), (122, 94), (60, 46)]
for h, w in sizes:
    keep(f"resize.{h}x{w}", large.resize((w, h), Image.BICUBIC))
grey = large.convert("L")
keep("grey", grey)
keep("grey.resize.24x31", grey.resize((31, 24), Image.BICUBIC))
notes["resize"] = sizes

# torchvision: Resize(size) on the shorter side, CenterCrop(crop); resized_crop(i, j, h, w)
evaluations = []
for name, source, size, crop in [("eval0", large, 40, 32), ("eval1", small, 37, 30), ("eval2", large.rotate(90, expand=True), 33, 28), ("eval3", large, 47, 40)]:
    w, h = source.size
    short, long = min(w, h), max(w, h)
    other = int(size * long / short)
    new = (size, other) if w <= h else (other, size)
    resized = source.resize(new, Image.BICUBIC)
    top, left = int(round((new[1] - crop) / 2.0)), int(round((new[0] - crop) / 2.0))
    keep(f"{name}.source", source)
    keep(name, resized.crop((left, top, left + crop, top + crop)))
    evaluations.append({"name": name, "size": size, "crop": crop, "resized_wh": new, "top_left": [top, left]})
notes["eval"] = evaluations
keep("rrc", large.crop((7, 5, 7 + 31, 5 + 43)).resize((24, 24), Image.BICUBIC))
notes["rrc"] = {"top": 5, "left": 7, "height": 43, "width": 31, "size": 24}

# RandAugment: every operation at several magnitudes and both signs
hparams = {"translate_const": 100, "img_mean": (124, 116, 104), "interpolation": Image.BICUBIC}
augment = timm.rand_augment_transform("rand-m9-mstd0.5-inc1", hparams)
kwargs = {"fillcolor": hparams["img_mean"], "resample": Image.BICUBIC}
entries = []
for op in augment.ops:
    for magnitude in (9, 3.3):
        for sign in ("pos", "neg"):
            random.random = lambda sign=sign: 0.0 if sign == "pos" else 1.0
            arguments = list(op.level_fn(magnitude, op.hparams)) if op.level_fn else []
            entry = {"op": op.name, "magnitude": magnitude, "sign": sign, "args": arguments}
            if entries and entries[-1]["op"] == op.name and entries[-1]["args"] == arguments:
                continue
            if not arguments and magnitude != 9:
                continue
            entry["tensor"] = f"op{len(entries)}"
            entries.append(entry)
            keep(entry["tensor"], op.aug_fn(small, *arguments, **kwargs))
notes["ops"] = entries

# RandAugment: whole calls, every draw recorded in order
import importlib

real = importlib.import_module("random")
source = random.Random(7)
log = []


def record(kind, value):
    log.append([kind, value])
    return value


random.random = lambda: record("random", source.random())
random.gauss = lambda mean, deviation: record("gauss", source.gauss(mean, deviation))
traces = []
for t in range(12):
    log.clear()
    rng = np.random.RandomState(t)
    real_choice = np.random.choice
    np.random.choice = lambda ops, n, **_: [ops[record("choice", int(rng.randint(len(ops))))] for _ in range(n)]
    keep(f"trace{t}", augment(small))
    np.random.choice = real_choice
    traces.append({"draws": [list(entry) for entry in log], "tensor": f"trace{t}"})
notes["traces"] = traces

# JPEG decoding
picture(67, 90, 3).save(here / "picture.jpg", quality=90, subsampling=2)
keep("jpeg", Image.open(here / "picture.jpg").convert("RGB"))
picture(33, 21, 4).convert("L").save(here / "grey.jpg", quality=90)
keep("jpeg.grey", Image.open(here / "grey.jpg").convert("RGB"))

notes["versions"] = {"pillow": PIL.__version__, "numpy": np.__version__, "timm": "0.5.4"}
save_file(tensors, here / "pil.safetensors")
(here / "pil.json").write_text(json.dumps(notes, indent=1) + "\n")
