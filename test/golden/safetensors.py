"""Writes safetensors.json: files of the reference implementation (base64) and what it reads from them.

python3 -P test/golden/safetensors.py [model.safetensors]    # pip install torch safetensors

Without -P, Python would take this file for the package. The model is stories260k's, of which names, shapes and sums are kept.
"""

import base64
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load, load_file, save

SPECIAL = [0.0, -0.0, 1.0, -1.5, 65504.0, 2.0**-14, 2.0**-24, -(2.0**-24), 1023 * 2.0**-24, math.inf, -math.inf, math.nan]

FILES = {
    "float32": (
        {
            "layers.1.weight": torch.arange(6).reshape(2, 3).float() / 7,
            "layers.0.weight": torch.tensor(SPECIAL),
            "layers.10.bias": torch.tensor(-2.5),
            "\uff21 beyond": torch.ones(1),
            "\U0001f600 above": torch.ones(2),
            'quote " backslash \\ newline \n delete \x7f control \x01': torch.ones(1, 1),
            "é": torch.zeros(0, 3),
            "7": torch.ones(3),
        },
        {"format": "pt \u2028 é"},
    ),
    "written types": (
        {
            "u": torch.tensor([0, 255], dtype=torch.uint8),
            "flag": torch.tensor([True, False, True]),
            "i": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
            "x": torch.tensor([0.1]),
        },
        None,
    ),
    "read types": (
        {
            "f16": torch.tensor(SPECIAL, dtype=torch.float16).reshape(3, 4),
            "bf16": torch.tensor([*SPECIAL[:4], 3.3895e38, 1e-40, -1e-40, *SPECIAL[9:]], dtype=torch.bfloat16),
            "i64": torch.tensor([-(2**31), -1, 0, 2**31 - 1]),
            "i8": torch.tensor([-128, -1, 0, 127], dtype=torch.int8),
            "odd": torch.tensor([1, 2, 3], dtype=torch.uint8),
        },
        None,
    ),
    "empty": ({}, None),
}


def number(value):
    return value if math.isfinite(value) else str(value)


def described(tensors):
    return {
        name: {"shape": list(x.shape), "values": [number(v) for v in x.flatten().float().tolist()]}
        if x.is_floating_point()
        else {"shape": list(x.shape), "values": [int(v) for v in x.flatten().tolist()]}
        for name, x in tensors.items()
    }


golden = {"files": {}}
for title, (tensors, metadata) in FILES.items():
    file = save(tensors, metadata)
    golden["files"][title] = {"base64": base64.b64encode(file).decode(), "tensors": described(load(file))}
if len(sys.argv) > 1:
    model = load_file(sys.argv[1])
    golden["stories260k"] = {
        name: {"shape": list(x.shape), "sum": x.double().sum().item()} for name, x in sorted(model.items())
    }
Path(__file__).with_suffix(".json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
