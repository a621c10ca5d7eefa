"""Writes causal.json: tiny random language models from transformers (GPT-2, Llama with scaled ropes, Qwen2, Mistral).

Of each: logits without padding and with padding on the left, loss and gradients of one step, a greedy continuation. And
what repetition penalty, temperature, top-k and top-p leave of random logits.
Run: python3 -P test/golden/causal.py (torch, transformers, safetensors).
"""

import base64
import json
import pathlib

import torch
from safetensors.torch import save
from transformers import (
    GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, LogitsProcessorList, MistralConfig, MistralForCausalLM,
    Qwen2Config, Qwen2ForCausalLM, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)

torch.set_num_threads(1)
VOCAB = 14
LLAMA = dict(
    vocab_size=VOCAB, hidden_size=8, intermediate_size=6, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    max_position_embeddings=256, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64,
)
GPT2 = dict(
    vocab_size=VOCAB, n_positions=24, n_embd=8, n_layer=2, n_head=2, n_inner=None, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
    model_type="gpt2",
)
# name: config class, model class, fields of config.json, parameters whose gradients are stored
MODELS = {
    "gpt2": (GPT2Config, GPT2LMHeadModel, GPT2, ["transformer.h.0.attn.c_attn.weight", "transformer.h.1.mlp.c_proj.bias", "transformer.wte.weight"]),
    "gpt2 with other scales": (
        GPT2Config, GPT2LMHeadModel,
        {**GPT2, "n_inner": 12, "activation_function": "relu", "scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False},
        ["transformer.wpe.weight", "transformer.h.1.attn.c_proj.weight", "lm_head.weight"],
    ),
    "llama with rope_scaling llama3": (
        LlamaConfig, LlamaForCausalLM,
        {**LLAMA, "model_type": "llama", "rope_theta": 100.0, "rope_scaling": {k: v for k, v in LLAMA3.items() if k != "rope_theta"}},
        ["model.layers.0.self_attn.k_proj.weight"],
    ),
    "llama with rope_parameters llama3": (
        LlamaConfig, LlamaForCausalLM,
        {**LLAMA, "model_type": "llama", "rope_parameters": LLAMA3, "tie_word_embeddings": True},
        ["model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight"],
    ),
    "llama with rope_scaling linear": (
        LlamaConfig, LlamaForCausalLM, {**LLAMA, "model_type": "llama", "head_dim": None, "rope_scaling": {"type": "linear", "factor": 3.0}},
        ["model.layers.0.self_attn.q_proj.weight"],
    ),
    "llama with rope_parameters linear": (
        LlamaConfig, LlamaForCausalLM,
        {**LLAMA, "model_type": "llama", "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 500.0}, "mlp_bias": True, "num_hidden_layers": 2},
        ["model.layers.0.mlp.down_proj.bias"],
    ),
    "qwen2": (
        Qwen2Config, Qwen2ForCausalLM,
        {**LLAMA, "model_type": "qwen2", "num_hidden_layers": 2, "rope_theta": 1000.0, "use_sliding_window": False, "sliding_window": 4, "tie_word_embeddings": True},
        ["model.layers.1.self_attn.k_proj.bias", "model.layers.0.self_attn.v_proj.weight"],
    ),
    "mistral": (
        MistralConfig, MistralForCausalLM, {**LLAMA, "model_type": "mistral", "head_dim": 6, "sliding_window": None},
        ["model.layers.0.self_attn.o_proj.weight"],
    ),
}


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()}, {"format": "pt"})).decode()


def weights_of(model, tied):
    return packed({k: v for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")})


torch.manual_seed(1)
ids = torch.randint(3, VOCAB, (2, 9))
lengths = torch.tensor([9, 5])[:, None]
mask = (torch.arange(9)[None] >= 9 - lengths).long()
positions = (mask.cumsum(1) - 1).clamp(min=0)
targets = torch.where(mask[:, 1:] * mask[:, :-1] == 1, ids[:, 1:], -100)


def run(config_class, model_class, fields, watched):
    torch.manual_seed(0)
    model = model_class(config_class(**json.loads(json.dumps(fields)))).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm.weight" in name or "ln_" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
    logits = model(ids).logits
    padded = model(ids, attention_mask=mask, position_ids=positions).logits
    loss = torch.nn.functional.cross_entropy(padded[:, :-1].reshape(-1, VOCAB), targets.reshape(-1))
    loss.backward()
    parameters = dict(model.named_parameters())
    gradients = {name: parameters[name].grad for name in watched}
    greedy = model.generate(ids[:1, :4], max_new_tokens=12, do_sample=False, repetition_penalty=1.2, eos_token_id=None, pad_token_id=0)
    return dict(
        config=fields, weights=weights_of(model, fields.get("tie_word_embeddings", "n_embd" in fields)), loss=loss.item(), greedy=greedy[0].tolist(),
        values=packed({"logits": logits, "padded": padded * mask[..., None], **{f"gradient.{k}": v for k, v in gradients.items()}}),
    )


def sampling():
    torch.manual_seed(3)
    scores = torch.randn(1, 40) * 3
    scores[0, scores.argmin()] = scores.sort(descending=True).values[0, 4]  # a tie at the fifth place
    seen = torch.tensor([[4, 7, 7, 21]])
    cases = []
    for penalty, temperature, k, p in [
        (1.0, 1.0, None, 1.0), (1.3, 0.7, None, 1.0), (1.0, 1.0, 1, 1.0), (1.0, 1.0, 5, 1.0), (1.2, 1.5, 12, 0.8), (1.0, 1.0, None, 0.9),
        (1.0, 2.0, None, 0.5), (1.0, 0.5, None, 0.01), (1.5, 1.0, 100, 0.95),
    ]:
        chain = [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)]
        chain += [TopKLogitsWarper(min(k, 40))] if k else []
        chain += [TopPLogitsWarper(p)] if p < 1 else []
        kept = LogitsProcessorList(chain)(seen, scores.clone()).softmax(-1)[0]
        options = dict(repetitionPenalty=penalty, temperature=temperature, topP=p, **({"topK": k} if k else {}))
        cases.append(dict(options=options, probabilities={i: v for i, v in enumerate(kept.tolist()) if v > 0}))
    return dict(logits=scores[0].tolist(), seen=seen[0].tolist(), cases=cases)


pathlib.Path(__file__).with_name("causal.json").write_text(json.dumps(dict(
    ids=ids.tolist(), mask=mask.tolist(), positions=positions.tolist(), targets=targets.tolist(),
    models={name: run(*arguments) for name, arguments in MODELS.items()}, sampling=sampling(),
)) + "\n")
