"""The LoRA step of lora-step.bench.ts in native PyTorch + PEFT on one thread: median milliseconds, and the losses.

Run: python3 bench/lora-step.py MODEL_DIR TOKENS_JSON STEPS (torch, transformers, peft); TOKENS_JSON holds {"batches": [[ids]]}.
"""

import json
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

torch.set_num_threads(1)
model_dir, tokens, steps = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
torch.manual_seed(0)
model = LlamaForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.0)
times, losses = [], []
for step in range(steps):
    batch = torch.tensor(tokens["batches"][step % len(tokens["batches"])])
    begin = time.perf_counter()
    logits = model(batch[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    times.append((time.perf_counter() - begin) * 1000)
print(json.dumps({"milliseconds": statistics.median(times[3:]), "losses": losses, "torch": torch.__version__}))
