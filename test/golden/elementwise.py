"""Writes elementwise.json: elementwise operations and activations, values and gradients, extremes included.

Run: python3 -P test/golden/elementwise.py (torch; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib

import numpy
import torch
import torch.nn.functional as f

torch.set_num_threads(1)
torch.manual_seed(0)

extremes = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e38, -1e38, 1e-38, -1e-38, 1e-42, 1e4, -1e4]
edges = [100, -100, 88, -88, 20, -20, 20.5, 6, -6, 3, -3, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, 1, -1, 1e-3, -1e-3, 1e-8]
values = torch.tensor([*extremes, *edges, *(torch.randn(40) * 3).tolist()])


def packed(x):
    return base64.b64encode(numpy.ascontiguousarray(x.detach().numpy().astype("<f4")).tobytes()).decode()


def case(op, *inputs):
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = op(*inputs)
    dy = 0.5 + torch.rand(y.shape)
    grads = torch.autograd.grad(y, inputs, dy)
    pack = lambda x: dict(shape=list(x.shape), data=packed(x))
    return dict(inputs=[pack(x) for x in inputs], y=pack(y), dy=pack(dy), grads=[pack(g) for g in grads])


unary = {
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "abs": torch.abs,
    "neg": torch.neg,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "round": torch.round,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "clamp": lambda x: x.clamp(-1, 2.5),
    "clamp, min": lambda x: x.clamp(min=0.5),
    "clamp, max below min": lambda x: x.clamp(2, 1),
    "relu": f.relu,
    "leakyRelu": f.leaky_relu,
    "leakyRelu, 0.2": lambda x: f.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": f.softplus,
    "softplus, 2, 5": lambda x: f.softplus(x, 2, 5),
    "elu": f.elu,
    "elu, 0.5": lambda x: f.elu(x, 0.5),
    "selu": f.selu,
    "mish": f.mish,
    "hardswish": f.hardswish,
    "hardsigmoid": f.hardsigmoid,
    "relu6": f.relu6,
    "logSigmoid": f.logsigmoid,
    "silu": f.silu,
    "gelu": f.gelu,
    "gelu, tanh": lambda x: f.gelu(x, approximate="tanh"),
    "pow, 2": lambda x: x.pow(2),
    "pow, 3": lambda x: x.pow(3),
    "pow, 0.5": lambda x: x.pow(0.5),
    "pow, -1": lambda x: x.pow(-1),
    "pow, 0": lambda x: x.pow(0),
    "pow, 1": lambda x: x.pow(1),
    "pow, 1.7": lambda x: x.pow(1.7),
}

bases = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -1.0, 2.0, -2.0, 0.3, -0.3])
exponents = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -1.0, 2.0, 3.0, -3.0, 0.5, -0.7])
x, w, v = torch.randn(3, 5), torch.randn(5, 4), torch.randn(5, 4)
b, c = torch.randn(4), torch.randn(4)
channels = torch.randn(2, 3, 4)
binary = {
    "pow": case(torch.pow, *(t.clone() for t in torch.broadcast_tensors(bases[:, None], exponents))),
    "maximum": case(torch.maximum, *(t.clone() for t in torch.broadcast_tensors(bases[:, None], exponents))),
    "minimum": case(torch.minimum, *(t.clone() for t in torch.broadcast_tensors(bases[:, None], exponents))),
    "lerp, 0.3": case(lambda a, b: torch.lerp(a, b, 0.3), x, x.flip(0)),
    "lerp, 1": case(lambda a, b: torch.lerp(a, b, 1.0), torch.tensor([1e8, 1.0]), torch.tensor([1.0, 1e8])),
    "lerp": case(torch.lerp, x, x.flip(1), torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0])),
    "addcmul": case(lambda a, b, c: torch.addcmul(a, b, c, value=0.7), x, x.flip(0), torch.randn(5)),
    "prelu": case(f.prelu, channels, torch.tensor([0.25])),
    "prelu, channels": case(f.prelu, channels, torch.tensor([0.25, -0.5, 2.0])),
    "glu": case(f.glu, torch.randn(3, 6)),
    "glu, 0": case(lambda x: f.glu(x, 0), torch.randn(4, 3)),
    "swiglu": case(lambda x, w, v: f.silu(x @ w) * (x @ v), x, w, v),
    "swiglu, 1.5": case(
        lambda x, w, v, b, c: (x @ w + b) * torch.sigmoid(1.5 * (x @ w + b)) * (x @ v + c), x, w, v, b, c
    ),
    "geglu": case(lambda x, w, v, b: f.gelu(x @ w + b) * (x @ v), x, w, v, b),
    "reglu": case(lambda x, w, v, c: f.relu(x @ w) * (x @ v + c), x, w, v, c),
}

relations = ["eq", "ne", "gt", "ge", "lt", "le"]
a, d = torch.broadcast_tensors(values[:20, None], values[:20])
comparisons = {name: getattr(torch, name)(a, d).int().flatten().tolist() for name in relations}

out = dict(
    unary=dict(),
    binary=binary,
    comparisons=dict(values=packed(values[:20]), **{k: "".join(map(str, v)) for k, v in comparisons.items()}),
)
dy = 0.5 + torch.rand(values.shape)
for name, op in unary.items():
    x = values.clone().requires_grad_()
    y = op(x)
    out["unary"][name] = dict(y=packed(y), dx=packed(torch.autograd.grad(y, x, dy)[0]))
out["x"], out["dy"] = packed(values), packed(dy)
pathlib.Path(__file__).with_name("elementwise.json").write_text(json.dumps(out) + "\n")
