"""Loads model directories that wasmgrad wrote into transformers: their logits must be those that it computed.

Run: npx tsx test/golden/check_models.mts OUT_DIR && python3 -P test/golden/check_models.py OUT_DIR (torch, transformers).
Each directory below OUT_DIR holds a model and expected.json: token ids, an attention mask, the class, its logits.
"""

import json
import pathlib
import sys

import torch
import transformers

worst = 0.0
for directory in sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/expected.json")):
    expected = json.loads((directory / "expected.json").read_text())
    model, info = getattr(transformers, expected["class"]).from_pretrained(directory, output_loading_info=True)
    wrong = {kind: sorted(keys) for kind, keys in info.items() if keys and kind.endswith("keys")}
    ids, mask = torch.tensor(expected["ids"]), torch.tensor(expected["mask"])
    with torch.no_grad():
        output = model(ids, attention_mask=mask)
    got = output.logits if hasattr(output, "logits") else output.last_hidden_state
    logits = torch.tensor(expected["logits"])
    seen = mask.bool() if logits.ndim == 3 else torch.ones(len(logits), dtype=torch.bool)
    difference = (got - logits)[seen].abs().max().item()
    worst = max(worst, difference if not wrong else float("inf"))
    print(f"{directory.name}: {type(model).__name__}, {difference:.1e} at most, {wrong or 'every key'}")
sys.exit(0 if worst < 2e-4 else 1)
