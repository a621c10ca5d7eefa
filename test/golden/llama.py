"""Writes llama.json: a tiny random Llama from transformers with a PEFT adapter.

Logits of the base model, then loss, adapter gradients and the losses of ten AdamW steps with LoRA on all linear layers,
for the plain and the rank-stabilized scaling. Run: python3 test/golden/llama.py (torch, transformers, peft, safetensors).
"""

import base64
import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
CONFIG = dict(
    vocab_size=40, hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", tie_word_embeddings=False,
    initializer_range=0.2, attention_bias=True, mlp_bias=False, bos_token_id=1, eos_token_id=2,
)
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()}, {"format": "pt"})).decode()


def base_model():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG)).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
    return model


def adapter_run(ids, rslora):
    model = base_model()
    torch.manual_seed(1)
    config = LoraConfig(
        r=3, lora_alpha=6, target_modules=TARGETS, use_rslora=rslora, lora_dropout=0.0,
        rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 4}, alpha_pattern={"v_proj": 5},
    )
    peft = get_peft_model(model, config)
    with torch.no_grad():
        for name, p in peft.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.1)
    start = packed(get_peft_model_state_dict(peft))
    config_json = {k: (sorted(v) if isinstance(v, set) else v) for k, v in peft.peft_config["default"].to_dict().items()}
    optimizer = torch.optim.AdamW([p for p in peft.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.01)
    losses, gradients = [], None
    for _ in range(10):
        logits = peft(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
        loss.backward()
        if gradients is None:
            gradients = packed({n.replace(".default", ""): p.grad for n, p in peft.named_parameters() if p.requires_grad})
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    return dict(config=json.loads(json.dumps(config_json, default=str)), start=start, gradients=gradients, losses=losses,
                end=packed(get_peft_model_state_dict(peft)))


torch.manual_seed(2)
ids = torch.randint(0, CONFIG["vocab_size"], (3, 12))
model = base_model()
greedy = model.generate(ids[:1, :4], max_new_tokens=16, do_sample=False, repetition_penalty=1.3, eos_token_id=None, pad_token_id=0)
out = dict(
    config=CONFIG, weights=packed(model.state_dict()), ids=ids.tolist(),
    logits=packed({"logits": model(ids).logits}), greedy=greedy[0].tolist(),
    lora=adapter_run(ids, False), rslora=adapter_run(ids, True),
)
pathlib.Path(__file__).with_name("llama.json").write_text(json.dumps(out) + "\n")
