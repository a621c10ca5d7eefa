"""Writes layers.json: larger layers with their state dicts, their outputs and the gradients of Σ output·dy.

Run: python3 -P test/golden/layers.py (torch, transformers, safetensors; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib

import torch
from safetensors.torch import save
from torch import nn
from torch.nn.functional import linear, silu

torch.set_num_threads(1)
torch.manual_seed(0)


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()})).decode()


def case(name, module, inputs, run, outputs, **facts):
    """`run` gives a tuple; the gradients are of Σ output·dy over those that `outputs` names."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.1, 0.5)
    module.train(facts.get("training", False))
    results = dict(zip(outputs, run(module, **inputs)))
    seeds = {k: torch.randn_like(v) for k, v in results.items()}
    floats = {k: v for k, v in inputs.items() if v.requires_grad}
    leaves = {**{f"d.{k}": v for k, v in floats.items()}, **{f"grad.{k}": v for k, v in module.named_parameters()}}
    loss = sum((results[k] * seeds[k]).sum() for k in results)
    grads = torch.autograd.grad(loss, leaves.values())
    groups = dict(state=module.state_dict(), inputs=inputs, outputs=results, seeds=seeds, gradients=dict(zip(leaves, grads)))
    tensors = packed({f"{group}/{k}": v for group, members in groups.items() for k, v in members.items()})
    return dict(name=name, tensors=tensors, **facts)


def random(*shape):
    return torch.randn(shape, requires_grad=True)


def attention(name, q, k=None, v=None, masks=None, constructor={}, call={}, heads=2):
    k = q if k is None else k
    v = k if v is None else v
    inputs = dict(q=q)
    if k is not q:
        inputs["k"] = k
    if v is not k:
        inputs["v"] = v
    masks = masks or {}
    module = nn.MultiheadAttention(q.shape[-1], heads, **{"batch_first": True, **constructor})
    needs = call.get("need_weights", False)

    def run(m, q, k=None, v=None, **masks):
        k = q if k is None else k
        y, w = m(q, k, k if v is None else v, **{"need_weights": False, **call}, **masks)
        return (y, w) if needs else (y,)

    camel = dict(batch_first="batchFirst", need_weights="needWeights", is_causal="isCausal", bias="bias")
    return case(
        name, module, {**inputs, **masks}, run, ["output", "weights"] if needs else ["output"],
        heads=heads, constructor={camel[k]: v for k, v in constructor.items()}, call={camel[k]: v for k, v in call.items()},
    )


class QKNormAttention(nn.Module):
    """nn.MultiheadAttention with Chameleon's layer norm of queries and keys."""

    def __init__(self, embed, heads):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed, embed))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * embed))
        self.out_proj = nn.Linear(embed, embed)
        from transformers.models.chameleon.modeling_chameleon import ChameleonLayerNorm

        self.q_norm = ChameleonLayerNorm((heads, embed // heads))
        self.k_norm = ChameleonLayerNorm((heads, embed // heads))
        self.heads = heads

    def forward(self, x):
        B, T, E = x.shape
        q, k, v = (t.reshape(B, T, self.heads, -1) for t in linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1))
        q, k, v = (t.transpose(1, 2) for t in (self.q_norm(q), self.k_norm(k), v))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return (self.out_proj(y.transpose(1, 2).reshape(B, T, E)),)


def encoder(name, src, constructor={}, masks={}):
    module = nn.TransformerEncoderLayer(6, 2, **{"dim_feedforward": 6, "batch_first": True, **constructor})
    return case(name, module, {"src": src, **masks}, lambda m, **inputs: (m(**inputs),), ["output"], constructor=constructor)


def decoder(name, tgt, memory, constructor={}, masks={}):
    module = nn.TransformerDecoderLayer(4, 2, **{"dim_feedforward": 6, "batch_first": True, **constructor})
    inputs = {"tgt": tgt, "memory": memory, **masks}
    return case(name, module, inputs, lambda m, **inputs: (m(**inputs),), ["output"], constructor=constructor)


def recurrent(name, kind, sizes, x, states=None, **constructor):
    module = getattr(nn, kind)(*sizes, **{"batch_first": True, **constructor})
    camel = dict(batch_first="batchFirst", num_layers="numLayers", bidirectional="bidirectional", bias="bias")
    is_lstm = kind == "LSTM"

    def run(m, x, h=None, c=None):
        state = None if h is None else (h, c) if is_lstm else h
        y, state = m(x, state)
        return (y, *state) if is_lstm else (y, state)

    return case(
        name, module, {"x": x, **(states or {})}, run, ["output", "hn", "cn"] if is_lstm else ["output", "hn"],
        kind=kind, sizes=sizes, constructor={camel[k]: v for k, v in constructor.items()},
    )


class KANLinear(nn.Module):
    """The forward pass of efficient-kan (github.com/Blealtan/efficient-kan), written from its formulas."""

    def __init__(self, inputs, outputs, grid_size=5, order=3):
        super().__init__()
        knots = (torch.arange(-order, grid_size + order + 1) * (2 / grid_size) - 1).expand(inputs, -1).contiguous()
        self.order = order
        self.register_buffer("grid", knots)
        self.base_weight = nn.Parameter(torch.empty(outputs, inputs))
        self.spline_weight = nn.Parameter(torch.empty(outputs, inputs, grid_size + order))
        self.spline_scaler = nn.Parameter(torch.empty(outputs, inputs))

    def bases(self, x):
        t, x = self.grid, x[..., None]
        b = ((x >= t[:, :-1]) & (x < t[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            rising = (x - t[:, : -(k + 1)]) / (t[:, k:-1] - t[:, : -(k + 1)])
            falling = (t[:, k + 1 :] - x) / (t[:, k + 1 :] - t[:, 1:(-k)])
            b = rising * b[..., :-1] + falling * b[..., 1:]
        return b

    def forward(self, x):
        weight = self.spline_weight * self.spline_scaler[..., None]
        return (linear(silu(x), self.base_weight) + linear(self.bases(x).flatten(-2), weight.flatten(1)),)


hidden = torch.rand(5, 7) > 0.7
padding = torch.zeros(2, 7, dtype=torch.bool)
padding[1, 4:] = True
causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
attentions = [
    attention("self-attention", random(2, 5, 8)),
    attention("keys and values apart", random(2, 5, 8), random(2, 7, 8)),
    attention("three inputs", random(2, 5, 8), random(2, 7, 8), random(2, 7, 8)),
    attention("weights", random(2, 5, 8), random(2, 7, 8), call=dict(need_weights=True)),
    attention("no bias, time first", random(5, 2, 8), constructor=dict(bias=False, batch_first=False)),
    attention("boolean mask", random(2, 5, 8), random(2, 7, 8), masks=dict(attn_mask=hidden)),
    attention("a mask per head", random(2, 5, 8), masks=dict(attn_mask=torch.randn(4, 5, 5)), call=dict(need_weights=True)),
    attention("padded keys", random(2, 5, 8), random(2, 7, 8), masks=dict(key_padding_mask=padding, attn_mask=hidden)),
]
encoders = [
    encoder("default order", random(2, 5, 6)),
    encoder("normalized first, gelu", random(2, 5, 6), dict(norm_first=True, activation="gelu")),
    encoder("masks, no bias", random(2, 7, 6), dict(bias=False),
            dict(src_mask=torch.triu(torch.ones(7, 7, dtype=torch.bool), 1), src_key_padding_mask=padding)),
]
decoders = [
    decoder("default order", random(2, 5, 4), random(2, 7, 4)),
    decoder("normalized first, masks", random(2, 5, 4), random(2, 7, 4), dict(norm_first=True),
            dict(tgt_mask=causal, memory_mask=hidden, memory_key_padding_mask=padding)),
]
recurrents = [
    recurrent(f"{kind} {name}", kind, sizes, x, {k: random(*shape) for k, shape in states.items() if kind == "LSTM" or k == "h"}, **options)
    for kind in ("LSTM", "GRU")
    for name, sizes, x, states, options in [
        ("of one layer", (3, 5), random(2, 6, 3), {}, {}),
        ("with a state", (3, 4), random(2, 3, 3), dict(h=(1, 2, 4), c=(1, 2, 4)), {}),
        ("of two layers, time first, without bias", (3, 5), random(4, 2, 3), dict(h=(2, 2, 5), c=(2, 2, 5)),
         dict(num_layers=2, batch_first=False, bias=False)),
        ("in both directions, two layers", (2, 3), random(1, 4, 2), dict(h=(4, 1, 3), c=(4, 1, 3)),
         dict(num_layers=2, bidirectional=True)),
    ]
]
points = torch.tensor([[-2.5, -1.3, -1.0], [-0.6, 0.0, 0.2], [0.33, 0.999, 1.0], [1.7, 2.4, -0.2]], requires_grad=True)
kans = [
    case("cubic", KANLinear(3, 2), dict(x=points), lambda m, x: m(x), ["output"], sizes=[3, 2], constructor={}),
    case("linear, three intervals", KANLinear(3, 4, 3, 1), dict(x=random(2, 2, 3)), lambda m, x: m(x), ["output"],
         sizes=[3, 4], constructor=dict(gridSize=3, splineOrder=1)),
]
out = dict(
    attention=attentions,
    qkNorm=case("queries and keys normalized", QKNormAttention(8, 2), dict(x=random(2, 5, 8)), lambda m, x: m(x), ["output"]),
    encoder=encoders,
    decoder=decoders,
    recurrent=recurrents,
    kan=kans,
)
pathlib.Path(__file__).with_name("layers.json").write_text(json.dumps(out) + "\n")
