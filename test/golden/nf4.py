"""Writes nf4.json: NF4 codes and doubly quantized scales by the formulas of bitsandbytes (its default backend's
quantize_4bit, quantize_blockwise and create_dynamic_map, version 0.50), in PyTorch.

Run: python3 -P test/golden/nf4.py (torch, safetensors; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib

import torch
from safetensors.torch import save

torch.set_num_threads(1)
torch.manual_seed(0)

NF4 = torch.tensor(
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ]
)


def dynamic_map():
    """A signed 8-bit type with a dynamic exponent: create_dynamic_map(signed=True, max_exponent_bits=7)."""
    data = [0.0, 1.0]
    for i in range(7):
        boundaries = torch.linspace(0.1, 1, 2**i + 1, dtype=torch.float32)
        means = (boundaries[:-1] + boundaries[1:]) / 2.0
        data += (10 ** (i - 6) * means).tolist()
        data += (-(10 ** (i - 6)) * means).tolist()
    return torch.tensor(sorted(data), dtype=torch.float32)


def by_blocks(x, book, size):
    """The number of the nearest value of `book` for each element, and each block's greatest magnitude."""
    blocks = x.split(size)
    absmax = torch.stack([block.abs().max() for block in blocks])
    scaled = torch.cat([(block * (1.0 / absmax[i].clamp(min=1e-38))).clamp(-1, 1) for i, block in enumerate(blocks)])
    return torch.bucketize(scaled, (book[:-1] + book[1:]) / 2).to(torch.uint8), absmax


def quantize(x):
    codes, absmax = by_blocks(x.flatten(), NF4, 64)
    # Rounded once: the order of float32 sums is not the same on every machine.
    offset = absmax.double().mean().float()
    scale_codes, nested = by_blocks(absmax - offset, dynamic_map(), 256)
    scales = dynamic_map()[scale_codes.long()] * nested.repeat_interleave(256)[: len(scale_codes)] + offset
    values = NF4[codes.long()] * scales.repeat_interleave(64)[: codes.numel()]
    return {
        "codes": codes[::2] << 4 | codes[1::2],
        "scales": scale_codes,
        "nested": torch.cat([offset[None], nested]),
        "values": values.reshape(x.shape),
    }


def wide():
    """More blocks than share a nested scale, by a formula that the test repeats."""
    state, rows = 1, []
    for i in range(64 * 300):
        state = (state * 1664525 + 1013904223) % 2**32
        rows.append((state >> 8) / 2**24 * (1 + i // 64 % 7) - 0.25)
    return torch.tensor(rows, dtype=torch.float32)


def case(x, *names):
    return {k: v for k, v in ({"x": x} | quantize(x)).items() if k in names}


def packed(tensors):
    return base64.b64encode(save({k: v.contiguous() for k, v in tensors.items()})).decode()


weight = torch.randn(24, 80) * torch.rand(24, 1)
golden = {
    "map": packed({"map": dynamic_map()}),
    "weight": packed(case(weight, "x", "codes", "scales", "nested", "values")),
    "wide": packed(case(wide(), "codes", "scales", "nested")),
}
pathlib.Path(__file__).with_name("nf4.json").write_text(json.dumps(golden) + "\n")
