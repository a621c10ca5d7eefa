"""Writes schedulers.json: the learning rates of PyTorch's schedulers for 50 steps, of groups that began with 0.5 and 0.1.

python3 -P test/golden/schedulers.py    # pip install torch
"""

import json
import math
import re
import warnings
from pathlib import Path

import torch
from torch.optim import lr_scheduler

STEPS = 50
warnings.filterwarnings("ignore", message=".*optimizer.step.*")

# Required arguments, then options, as in wasmgrad.
CASES = [
    ("StepLR", [7], {}),
    ("StepLR", [10], {"gamma": 0.5}),
    ("MultiStepLR", [[5, 20, 20, 33]], {}),
    ("MultiStepLR", [[1, 30]], {"gamma": 0.7}),
    ("ExponentialLR", [0.93], {}),
    ("CosineAnnealingLR", [20], {}),
    ("CosineAnnealingLR", [49], {"etaMin": 0.01}),
    ("LinearLR", [], {}),
    ("LinearLR", [], {"startFactor": 1, "endFactor": 0.1, "totalIters": 30}),
    ("OneCycleLR", [0.7], {"totalSteps": 50}),
    ("OneCycleLR", [[0.7, 0.2]], {"epochs": 5, "stepsPerEpoch": 12, "annealStrategy": "linear", "pctStart": 0.4}),
    ("OneCycleLR", [0.3], {"totalSteps": 60, "threePhase": True, "divFactor": 10, "finalDivFactor": 100}),
    ("OneCycleLR", [0.3], {"totalSteps": 49, "baseMomentum": 0.5, "maxMomentum": 0.9}),
]
PLATEAU = [
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "cooldown": 3, "threshold": 0.05, "minLr": 1e-3},
    {"mode": "max", "patience": 3, "thresholdMode": "abs", "threshold": 0.02, "factor": 0.3},
]


def snake(options):
    names = {"minLr": "min_lr", "etaMin": "eta_min"}
    return {
        names.get(key) or re.sub("[A-Z]", lambda m: "_" + m.group().lower(), key): value
        for key, value in options.items()
    }


def sgd():
    groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in (0.5, 0.1)]
    return torch.optim.SGD(groups, momentum=0.1)


def rates(optimizer, scheduler, metrics=None):
    shown = []
    for step in range(STEPS):
        groups = optimizer.param_groups
        shown.append([group["lr"] for group in groups] + [groups[0]["momentum"]])
        if step + 1 < STEPS:
            scheduler.step(*([] if metrics is None else [metrics[step]]))
    return shown


def sequential(optimizer):
    parts = [
        lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=6),
        lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.01),
        lr_scheduler.ExponentialLR(optimizer, 0.9),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, [6, 26])


def case(name, args, options):
    optimizer = sgd()
    scheduler = getattr(lr_scheduler, name)(optimizer, *args, **snake(options))
    return {"name": name, "args": [*args, options], "rates": rates(optimizer, scheduler)}


def plateau(options, metrics):
    optimizer = sgd()
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **snake(options))
    return {"options": options, "rates": rates(optimizer, scheduler, metrics)}


def from_function(make):
    optimizer = sgd()
    return rates(optimizer, make(optimizer))


metrics = [round(math.exp(-step / 10) + 0.3 * math.sin(step * step), 6) for step in range(STEPS)]
golden = {
    "torch": torch.__version__,
    "cases": [case(*c) for c in CASES],
    "lambda": from_function(lambda o: lr_scheduler.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)])),
    "sequential": from_function(sequential),
    "metrics": metrics,
    "plateau": [plateau(options, metrics) for options in PLATEAU],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")
