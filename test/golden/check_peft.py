"""Loads what was written here into transformers and PEFT: base + adapter must compute what it computed here, and what the
merged model computes.

Run: npx tsx test/golden/adapters.ts DIR && python3 -P test/golden/check_peft.py DIR (tiny models, every kind of adapter)
or: python3 -P test/golden/check_peft.py BASE_DIR OUT_DIR, with adapter/ and merged/ of `wasmgrad finetune` in OUT_DIR
(torch, transformers, peft).
"""

import json
import pathlib
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.utils.logging import disable_progress_bar

LIMIT = 2e-4
disable_progress_bar()


def model_at(path):
    architecture = json.loads((path / "config.json").read_text())["architectures"][0]
    auto = AutoModelForSequenceClassification if "SequenceClassification" in architecture else AutoModelForCausalLM
    return auto.from_pretrained(path, dtype=torch.float32).eval()


def check(base_dir, out_dir):
    """The largest difference between base + adapter, the merged model and the logits that were written."""
    base = model_at(base_dir)
    written = out_dir / "logits.json"
    expected = json.loads(written.read_text()) if written.exists() else None
    ids = torch.tensor(expected["ids"]) if expected else torch.randint(0, base.config.vocab_size, (2, 64))
    with torch.no_grad():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, out_dir / "adapter").eval()(ids).logits
        differences = {}
        if (out_dir / "merged").exists():
            differences["merged"] = (adapted - model_at(out_dir / "merged")(ids).logits).abs().max().item()
        if expected:
            differences["written"] = (adapted - torch.tensor(expected["logits"]).reshape(adapted.shape)).abs().max().item()
    effect = (adapted - plain).abs().max().item()
    said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    print(f"{out_dir.parent.name} {out_dir.name}: adapter against {said}; against the base {effect:.1e}")
    return max(differences.values()) < LIMIT < effect


torch.manual_seed(0)
paths = [pathlib.Path(argument) for argument in sys.argv[1:]]
if len(paths) == 2:
    results = [check(*paths)]
else:
    families = sorted(path for path in paths[0].iterdir() if path.is_dir())
    results = [check(f / "base", v) for f in families for v in sorted(f.iterdir()) if v.name != "base"]
print(f"{sum(results)} of {len(results)} agree to {LIMIT}")
sys.exit(0 if all(results) else 1)
