"""The Pillow side of `npm run bench data`: processor time for the same work, one image at a time.

    pip install pillow numpy && python benchmarks/pillow_baseline.py
"""

import io
import time

import numpy as np
import PIL
from PIL import Image


def milliseconds(work, repeats=30):
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(repeats):
            work()
        best = min(best, (time.process_time() - start) / repeats * 1000)
    return best


y, x = np.mgrid[0:375, 0:500]
noise = np.random.default_rng(0).uniform(-10, 10, (375, 500, 3))
wave = 128 + 70 * np.sin((x + 2 * y) / 20)[..., None] + noise
picture = Image.fromarray(wave.clip(0, 255).astype(np.uint8), "RGB")
buffer = io.BytesIO()
picture.save(buffer, "JPEG", quality=90, subsampling=2)
jpeg = buffer.getvalue()
box = (40, 30, 370, 320)
view = picture.crop(box).resize((224, 224), Image.BICUBIC)

rows = {
    f"decode a 500x375 JPEG of {len(jpeg) // 1024} KB": lambda: Image.open(io.BytesIO(jpeg)).convert("RGB"),
    "crop 330x290 and resize to 224x224, bicubic": lambda: picture.crop(box).resize((224, 224), Image.BICUBIC),
    "rotate 224x224, bicubic": lambda: view.rotate(27, resample=Image.BICUBIC, fillcolor=(124, 116, 104)),
    "to float32": lambda: np.asarray(view).astype(np.float32) / 255,
}
print(f"Pillow {PIL.__version__}\n\n| one image | processor time |\n|---|---|")
for name, work in rows.items():
    print(f"| {name} | {milliseconds(work):.2f} ms |")
