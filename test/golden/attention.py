"""Writes attention.json: scaled_dot_product_attention and rotary embedding, values and gradients.

Run: python3 -P test/golden/attention.py (torch, transformers, safetensors; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib

import torch
from safetensors.torch import save
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

torch.set_num_threads(1)
torch.manual_seed(0)


def packed(**tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()})).decode()


def random(*shape):
    return torch.randn(shape, requires_grad=True)


def attention(name, q, k, v, mask=None, **options):
    enable_gqa = q.shape[1] != k.shape[1]
    y = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=enable_gqa, **options)
    dy = torch.randn_like(y)
    dq, dk, dv = torch.autograd.grad(y, (q, k, v), dy)
    tensors = dict(q=q, k=k, v=v, y=y, dy=dy, dq=dq, dk=dk, dv=dv)
    if mask is not None:
        tensors["mask"] = mask
    return dict(name=name, options=options, tensors=packed(**tensors))


def rotary():
    x, length = random(2, 3, 5, 8), 11
    positions = torch.tensor([[3, 4, 5, 6, 7], [0, 10, 2, 2, 9]])
    angles = torch.outer(torch.arange(length, dtype=torch.float32), 100.0 ** (-torch.arange(4) / 4))
    cos, sin = angles.cos(), angles.sin()
    y, _ = apply_rotary_pos_emb(x, x, torch.cat([cos, cos], -1)[positions], torch.cat([sin, sin], -1)[positions])
    dy = torch.randn_like(y)
    (dx,) = torch.autograd.grad(y, x, dy)
    return dict(positions=positions.tolist(), tensors=packed(x=x, cos=cos, sin=sin, y=y, dy=dy, dx=dx))


seen = torch.rand(5, 7) > 0.4
seen[2] = False  # a query that sees no key
padding = torch.ones(2, 1, 1, 7, dtype=torch.bool)
padding[1, ..., 4:] = False
out = dict(
    attention=[
        attention("plain", random(2, 2, 5, 8), random(2, 2, 7, 8), random(2, 2, 7, 8)),
        attention("causal", random(1, 2, 19, 5), random(1, 2, 19, 5), random(1, 2, 19, 5), is_causal=True),
        attention("causal, fewer keys", random(1, 1, 6, 4), random(1, 1, 3, 4), random(1, 1, 3, 4), is_causal=True),
        attention("grouped queries", random(2, 4, 5, 4), random(2, 2, 5, 4), random(2, 2, 5, 4), is_causal=True),
        attention("values of another width", random(1, 2, 5, 4), random(1, 2, 6, 4), random(1, 2, 6, 7)),
        attention("boolean mask", random(1, 2, 5, 8), random(1, 2, 7, 8), random(1, 2, 7, 8), mask=seen),
        attention("padding mask", random(2, 2, 5, 4), random(2, 2, 7, 4), random(2, 2, 7, 4), mask=padding),
        attention("added mask", random(2, 2, 5, 4), random(2, 2, 7, 4), random(2, 2, 7, 4), mask=torch.randn(2, 5, 7)),
        attention("scale", random(1, 1, 5, 4), random(1, 1, 5, 4), random(1, 1, 5, 4), scale=3.0),
        attention("one query", random(2, 4, 1, 6), random(2, 2, 9, 6), random(2, 2, 9, 6)),
    ],
    rotary=rotary(),
)
pathlib.Path(__file__).with_name("attention.json").write_text(json.dumps(out) + "\n")
