"""Loads what `wasmgrad finetune` wrote into transformers and PEFT: base + adapter must compute what the merged model computes.

Run: python3 -P test/golden/check_peft.py BASE_DIR OUT_DIR (torch, transformers, peft); OUT_DIR holds adapter/ and merged/.
"""

import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base_dir, out_dir = sys.argv[1:3]
base = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32)
merged = AutoModelForCausalLM.from_pretrained(f"{out_dir}/merged", dtype=torch.float32)
ids = torch.randint(0, base.config.vocab_size, (2, 64), generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    plain = base(ids).logits
    adapted = PeftModel.from_pretrained(base, f"{out_dir}/adapter")(ids).logits
    difference = (adapted - merged(ids).logits).abs().max().item()
print(f"adapter against merged: {difference:.2e} at most; adapter against base: {(adapted - plain).abs().max().item():.2e}")
sys.exit(0 if difference < 2e-4 else 1)
