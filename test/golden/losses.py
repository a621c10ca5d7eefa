"""Writes losses.json: PyTorch's losses, values and gradients of every float input.

Run: python3 -P test/golden/losses.py (torch, safetensors; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib
import re

import torch
from safetensors.torch import save
from torch.nn import functional

torch.set_num_threads(1)
torch.manual_seed(0)

NAMES = {
    "binaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
    "l1Loss": "l1_loss",
    "smoothL1Loss": "smooth_l1_loss",
    "tripletMarginLoss": "triplet_margin_loss",
}
OPTIONS = {"labelSmoothing": "label_smoothing", "ignoreIndex": "ignore_index", "posWeight": "pos_weight", "logTarget": "log_target"}


def snake(name):
    return re.sub("[A-Z]", lambda m: "_" + m.group().lower(), name)


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()})).decode()


def case(op, inputs, fixed=(), reductions=("mean", "sum", "none"), **options):
    """`fixed` numbers the inputs without a gradient; tensors among the options are stored too."""
    loss = getattr(functional, NAMES.get(op) or snake(op))
    return [one(op, loss, inputs, fixed, reduction, options) for reduction in reductions]


def one(op, loss, inputs, fixed, reduction, options):
    leaves = [x.clone().requires_grad_(i not in fixed) for i, x in enumerate(inputs)]
    y = loss(*leaves, reduction=reduction, **{OPTIONS.get(k, k): v for k, v in options.items()})
    dy = torch.randn_like(y)
    wanted = [i for i in range(len(leaves)) if i not in fixed]
    gradients = torch.autograd.grad(y, [leaves[i] for i in wanted], dy)
    tensors = {f"x{i}": x.int() if x.dtype == torch.int64 else x for i, x in enumerate(inputs)}
    tensors |= {"y": y, "dy": dy} | {f"dx{i}": g for i, g in zip(wanted, gradients)}
    tensors |= {k: v for k, v in options.items() if isinstance(v, torch.Tensor)}
    plain = {k: v for k, v in options.items() if not isinstance(v, torch.Tensor)}
    return {"op": op, "options": {"reduction": reduction, **plain}, "tensors": packed(tensors)}


def randn(*shape):
    return torch.randn(shape)


def signs(*shape):
    return torch.randint(0, 2, shape).float() * 2 - 1


N, C = 6, 5
logits, weight = randn(N, C) * 3, torch.rand(C) + 0.2
classes = torch.randint(0, C, (N,))
some = classes.clone()
some[[1, 4]] = -100
image, pixels = randn(2, 3, 2, 2), torch.randint(0, 3, (2, 2, 2))
pixels[0, 1, 1] = 1
distributions = randn(N, C).softmax(-1)
x, t = randn(4, 3) * 2, randn(4, 3)
probabilities, labels = torch.rand(4, 3), torch.rand(4, 3)
anchor, positive, negative = randn(5, 4), randn(5, 4), randn(5, 4)

cases = [
    *case("crossEntropy", [logits, classes], [1]),
    *case("crossEntropy", [logits, some], [1], weight=weight),
    *case("crossEntropy", [logits, some], [1], labelSmoothing=0.2),
    *case("crossEntropy", [logits, some], [1], labelSmoothing=0.1, weight=weight),
    *case("crossEntropy", [image, pixels], [1], labelSmoothing=0.1, weight=weight[:3], ignoreIndex=1),
    *case("crossEntropy", [logits, distributions]),
    *case("crossEntropy", [logits, distributions], weight=weight, labelSmoothing=0.3),
    *case("crossEntropy", [image, randn(2, 3, 2, 2).softmax(1)], weight=weight[:3]),
    *case("nllLoss", [logits.log_softmax(-1), some], [1]),
    *case("nllLoss", [logits.log_softmax(-1), some], [1], weight=weight),
    *case("nllLoss", [image.log_softmax(1), pixels], [1], ignoreIndex=1),
    *case("mseLoss", [x, t]),
    *case("l1Loss", [x, t]),
    *case("smoothL1Loss", [x, t]),
    *case("smoothL1Loss", [x, t], beta=0.3),
    *case("huberLoss", [x, t]),
    *case("huberLoss", [x, t], delta=2.5),
    *case("binaryCrossEntropy", [probabilities, labels]),
    *case("binaryCrossEntropy", [torch.tensor([0.0, 1, 1e-30, 0.5]), torch.tensor([0.0, 1, 1, 0])], [1]),
    *case("binaryCrossEntropyWithLogits", [x * 5, labels]),
    *case("binaryCrossEntropyWithLogits", [x, labels], posWeight=torch.rand(3) * 3),
    *case("klDiv", [logits.log_softmax(-1), distributions], reductions=("mean", "sum", "none", "batchmean")),
    *case("klDiv", [logits.log_softmax(-1), distributions.log()], reductions=("mean", "batchmean"), logTarget=True),
    *case("cosineEmbeddingLoss", [anchor, positive, signs(5)], [2]),
    *case("cosineEmbeddingLoss", [anchor, positive, signs(5)], [2], margin=0.4),
    *case("tripletMarginLoss", [anchor, positive, negative]),
    *case("tripletMarginLoss", [anchor, positive, negative], margin=2.5, p=1, swap=True),
    *case("tripletMarginLoss", [anchor, positive, negative], reductions=("mean",), p=3, eps=0.1),
    *case("hingeEmbeddingLoss", [x.abs(), signs(4, 3)], [1]),
    *case("hingeEmbeddingLoss", [x.abs(), signs(4, 3)], [1], margin=2),
]
pathlib.Path(__file__).with_name("losses.json").write_text(json.dumps(cases) + "\n")
