"""Writes optim.json: parameters after steps of PyTorch's optimizers, for fixed gradients.

python3 test/golden/optim.py    # pip install torch
"""

import json
import re
from pathlib import Path

import torch

STEPS = 12
SHOWN = [1, 2, STEPS]

CASES = {
    "SGD": [
        {},
        {"weightDecay": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.8, "nesterov": True},
        {"momentum": 0.8, "nesterov": True, "weightDecay": 0.05},
        {"momentum": 0.9, "weightDecay": 0.01, "maximize": True},
    ],
    "Adam": [
        {},
        {"weightDecay": 0.1},
        {"betas": [0.8, 0.95], "eps": 1e-3, "amsgrad": True},
        {"maximize": True, "weightDecay": 0.1},
    ],
    "AdamW": [
        {},
        {"weightDecay": 0},
        {"weightDecay": 0.3, "betas": [0.5, 0.9]},
        {"amsgrad": True, "betas": [0.9, 0.8]},
        {"maximize": True, "eps": 1e-4},
    ],
}


def floats(t):
    return t.detach().double().tolist()


def snake(options):
    return {re.sub("[A-Z]", lambda m: "_" + m.group().lower(), key): value for key, value in options.items()}


def run(name, options, start, gradients):
    theta = torch.nn.Parameter(start.clone())
    optimizer = getattr(torch.optim, name)([theta], lr=0.05, foreach=False, fused=False, **snake(options))
    shown = {}
    for step, gradient in enumerate(gradients, 1):
        theta.grad = gradient.clone()
        optimizer.step()
        if step in SHOWN:
            shown[step] = floats(theta)
    return shown


def main():
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(7, generator=generator)
    gradients = torch.randn(STEPS, 7, generator=generator)
    gradients[:, 1] *= 1e-4
    gradients[3:, 2] = 0
    cases = [
        {"optimizer": name, "options": {"lr": 0.05, **options}, "after": run(name, options, start, gradients)}
        for name, list_of_options in CASES.items()
        for options in list_of_options
    ]
    golden = {"torch": torch.__version__, "start": floats(start), "gradients": floats(gradients), "cases": cases}
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


main()
