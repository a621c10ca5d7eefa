"""Writes optim.json: parameters after steps of PyTorch's optimizers, for fixed gradients.

python3 test/golden/optim.py    # pip install torch
"""

import json
import re
from pathlib import Path

import torch

STEPS = 12

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
    "Adagrad": [
        {},
        {"lrDecay": 0.1, "weightDecay": 0.1},
        {"eps": 0.1, "maximize": True},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.9, "weightDecay": 0.1},
        {"momentum": 0.9},
        {"centered": True, "eps": 1e-3},
        {"centered": True, "momentum": 0.5, "alpha": 0.8, "eps": 1e-2, "weightDecay": 0.05},
        {"maximize": True, "momentum": 0.5},
    ],
    "Adadelta": [
        {},
        {"rho": 0.5, "weightDecay": 0.1},
        {"eps": 1e-2, "maximize": True},
    ],
    "NAdam": [
        {},
        {"weightDecay": 0.1},
        {"betas": [0.8, 0.95], "momentumDecay": 0.1},
        {"eps": 1e-3, "maximize": True},
    ],
    "Lion": [
        {},
        {"weightDecay": 0.3},
        {"betas": [0.5, 0.8]},
        {"maximize": True, "weightDecay": 0.1},
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


class Lion(torch.optim.Optimizer):
    """Not in torch: as printed in Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0, maximize=False, **_):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for p in group["params"]:
                g = -p.grad if group["maximize"] else p.grad
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * g
                p.mul_(1 - lr * group["weight_decay"]).sub_(lr * c.sign())
                m.copy_(beta2 * m + (1 - beta2) * g)


def floats(t):
    """Nine digits tell a float32 from its neighbours."""
    return [floats(row) for row in t] if t.ndim else float(f"{t.item():.9g}")


def snake(options):
    return {re.sub("[A-Z]", lambda m: "_" + m.group().lower(), key): value for key, value in options.items()}


def run(name, options, start, gradients):
    theta = torch.nn.Parameter(start.clone())
    make = Lion if name == "Lion" else getattr(torch.optim, name)
    optimizer = make([theta], lr=0.05, foreach=False, **snake(options))
    trajectory = []
    for gradient in gradients:
        theta.grad = gradient.clone()
        optimizer.step()
        trajectory.append(floats(theta))
    return trajectory


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
