"""Records testing/published-logs.json: certified accuracies of published certification logs of methods that the paper leaves out.

    python published_logs.py --repository <clone of alinlab/smoothing-catrs at d4bc576> --out <file>

For each log the number of images, and of those that are classified correctly with a radius of at least each of `RADII`.
"""

import argparse
import csv
import json
from pathlib import Path

RADII = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3]
LOGS = [
    *(f"data/cifar10/noise_{s}/{method}/noise_{s}.tsv" for method in ("stab", "cat-rs") for s in ("0.25", "0.5", "1.0")),
    "data/imagenet/noise_1.0.tsv",
]


def counted(file):
    with open(file) as text:
        rows = list(csv.DictReader(text, delimiter="\t"))
    certified = [sum(row["correct"] == "1" and float(row["radius"]) >= radius for row in rows) for radius in RADII]
    return {"images": len(rows), "certified": certified}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--repository", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    logs = {log: counted(Path(options.repository) / log) for log in LOGS}
    source = "alinlab/smoothing-catrs at d4bc576, by testing/reference/published_logs.py"
    Path(options.out).write_text(json.dumps({"source": source, "radii": RADII, "logs": logs}, indent=2) + "\n")
