"""Copies a part of the recorded certified-training runs into the package: two steps of the cases below.

    python certified_training.py --reference <methods> --out packages/certified-training/src/__fixtures__

The runs are those of the official implementations on random images: alinlab/smoothing-catrs at d4bc576 (all methods but
MACER's loss, RuntianZ/macer at 1b6837f), torch 2.13 on a CPU with one thread. Inputs are float32; what is compared was
computed from them by the same code in float64.
"""

import argparse
import json
import re
import struct
from pathlib import Path

import numpy as np

STEPS = 2
CASES = {
    "gaussian": ["tinybn"],
    "stability": ["tinybn"],
    "smoothadv": ["pgd-m1-zerograd", "pgd-m2-nograd", "pgd-m2-bigeps-clamp", "pgd-m2-tinybn", "ddn-m2-warm"],
    "macer": ["some", "none-wrong", "deferred"],
    "consistency": ["tiny-m2", "tiny-m3-adv"],
    "smoothmix": ["mix1-mixed", "maxnorm", "tinybn"],
    "catrs": ["mixed", "confmask", "tinybn"],
}
FIELDS = ["method", "name", "model", "epoch", "nclasses", "args", "log_line"]
KEPT = re.compile(r"step\d+\.(loss$|grad\.|buffer\.|attack\.(adv_final|init|noise_final)$|in_mix$)")
SCALAR = re.compile(r"step\d+\.(loss$|gradnorm\.|afternorm\.)")
TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}


def load(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }


def save(path, tensors, metadata):
    names = {np.dtype(value): key for key, value in TYPES.items()}
    header, body = {"__metadata__": metadata}, b""
    for name, value in tensors.items():
        data = np.ascontiguousarray(value).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def in_steps(name):
    match = re.match(r"step(\d+)\.", name)
    return match is not None and int(match[1]) < STEPS


def compact(folder, case):
    info = json.loads((folder / f"case-{case}.json").read_text())
    single = load(folder / f"case-{case}.safetensors")
    double = load(folder / f"case-{case}.f64.safetensors")
    draws = [draw for draw in info["draws"] if draw["step"] < STEPS]
    steps_in_batch = info["n_steps"] // sum(name.endswith(".x") for name in single)
    batches = range(-(-STEPS // max(steps_in_batch, 1)))
    wanted = {draw["name"] for draw in draws} | {f"batch{i}.{field}" for i in batches for field in ("x", "y", "pb")}
    tensors = {name: value for name, value in single.items() if name in wanted or name.startswith("init.")}
    tensors.pop("init.bn.num_batches_tracked", None)
    for name, value in {**single, **double}.items():
        if in_steps(name) and KEPT.match(name) and value.ndim > 0 and value.dtype != np.dtype("<i4"):
            if name.startswith("step0.") or ".buffer." in name:
                tensors[name] = value
    run = {field: info[field] for field in FIELDS}
    run["draws"] = [{key: draw[key] for key in ("name", "kind", "step", "shape")} for draw in draws]
    run["n_steps"] = STEPS
    run["tolerance"] = {k: v for k, v in info["tolerance"].items() if in_steps(k) and KEPT.match(k)}
    for field in ("scalars32", "scalars64"):
        run[field] = {k: v for k, v in info[field].items() if in_steps(k) and SCALAR.match(k)}
    return run, tensors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for method, cases in CASES.items():
        metadata = {
            "command": "python testing/reference/certified_training.py --reference <methods> --out <fixtures>",
            "versions": "torch 2.13.0 CPU; alinlab/smoothing-catrs at d4bc576, RuntianZ/macer at 1b6837f",
        }
        tensors = {}
        for case in cases:
            run, own = compact(args.reference / method, case)
            metadata[f"case {case}"] = json.dumps(run, separators=(",", ":"))
            tensors |= {f"{case}/{name}": value for name, value in own.items()}
        save(args.out / f"{method}.safetensors", tensors, metadata)


if __name__ == "__main__":
    main()
