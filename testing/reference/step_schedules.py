"""Records packages/train/src/__fixtures__/step-schedules.json: learning rates of StepLR as the loops of certified training step it.

    python step_schedules.py --out <file>

"start": the scheduler is stepped with the number of the epoch before its training (train.py of locuslab/smoothing); "end": after it
(alinlab/smoothing-catrs). The dip is `--lr_drop` of train_catrs.py there: in one epoch the rate of the optimizer is multiplied by
gamma before the training.
"""

import argparse
import json
import warnings

import torch

SETTINGS = [
    dict(lr=0.1, step_size=30, gamma=0.1, epochs=90, stepped_at="start", dip=None),
    dict(lr=0.1, step_size=50, gamma=0.1, epochs=150, stepped_at="end", dip=None),
    dict(lr=0.1, step_size=30, gamma=0.1, epochs=90, stepped_at="end", dip=85),
    dict(lr=0.2, step_size=3, gamma=0.5, epochs=8, stepped_at="end", dip=4),
    dict(lr=0.2, step_size=3, gamma=0.5, epochs=8, stepped_at="start", dip=3),
    dict(lr=0.2, step_size=3, gamma=0.5, epochs=8, stepped_at="end", dip=0),
]


def rates(lr, step_size, gamma, epochs, stepped_at, dip):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=step_size, gamma=gamma)
    used = []
    for epoch in range(epochs):
        if stepped_at == "start":
            scheduler.step(epoch)
        if epoch == dip:
            for group in optimizer.param_groups:
                group["lr"] *= gamma
        used.append(optimizer.param_groups[0]["lr"])
        if stepped_at == "end":
            scheduler.step(epoch)
    return used


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of step(epoch), and of step() before the optimizer's
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    source = f"StepLR of torch {torch.__version__}, by testing/reference/step_schedules.py"
    settings = [{**setting, "rates": rates(**setting)} for setting in SETTINGS]
    with open(out, "w") as file:
        json.dump({"source": source, "settings": settings}, file)
        file.write("\n")
