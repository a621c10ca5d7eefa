"""Writes peft_llama.json, peft_gpt2.json and peft_distilbert.json: adapters of tiny random models, from transformers + PEFT.

For every variety of LoRA: the files that PEFT saves (the configuration without its nulls), the logits and the gradients they give, and the losses of ten AdamW
steps from them; for PiSSA also the converted adapter after these steps; for weighted sums of adapters their logits.
Run: python3 -P test/golden/peft.py (torch, transformers, peft, safetensors).
"""

import base64
import json
import pathlib
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save
from transformers import (
    DistilBertConfig, DistilBertForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
)

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()}, {"format": "pt"})).decode()


def flat(tensors):
    """Values alone, in the order of the sorted names."""
    return base64.b64encode(torch.cat([tensors[k].detach().float().flatten() for k in sorted(tensors)]).numpy().tobytes()).decode()


def randomized(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            is_norm = p.ndim == 1 and ("norm" in name.lower() or "ln_" in name)
            if is_norm and name.endswith("weight"):
                p.uniform_(0.5, 1.5)
            else:
                p.normal_(0, 0.25 if p.ndim == 2 else 0.1)
    return model.float().eval()


def files_of(model, **options):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, **options)
        path = pathlib.Path(folder)
        config = {k: v for k, v in json.loads((path / "adapter_config.json").read_text()).items() if v is not None}
        return config, base64.b64encode((path / "adapter_model.safetensors").read_bytes()).decode()


class Case:
    """A base model, its inputs and its loss."""

    def __init__(self, make, inputs, loss):
        self.make, self.inputs, self.loss = make, inputs, loss

    def base(self):
        torch.manual_seed(0)
        return randomized(self.make())

    def logits(self, model):
        return model(**self.inputs).logits

    def variety(self, **options):
        model = self.base()
        torch.manual_seed(1)
        peft = get_peft_model(model, LoraConfig(r=2, lora_alpha=3, **options)).eval()
        principal = options.get("init_lora_weights") == "pissa"
        with torch.no_grad():
            for name, p in peft.named_parameters():
                if p.requires_grad and not principal:
                    p.add_(torch.randn_like(p) * 0.1)
        initial = tempfile.mkdtemp()
        if principal:
            peft.peft_config["default"].init_lora_weights = True
            peft.save_pretrained(f"{initial}/start")
            peft.peft_config["default"].init_lora_weights = "pissa"
        config, start = files_of(peft)
        out = dict(config=config, start=start, logits=flat({"logits": self.logits(peft)}))
        optimizer = torch.optim.AdamW([p for p in peft.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.01)
        losses = []
        for step in range(10):
            loss = self.loss(self.logits(peft))
            loss.backward()
            if step == 0:
                grads = {n: p.grad for n, p in peft.named_parameters() if p.requires_grad}
                out["gradients"] = flat(get_peft_model_state_dict(peft, state_dict=grads, save_embedding_layers=False))
            losses.append(loss.item())
            optimizer.step()
            optimizer.zero_grad()
        out["losses"] = losses
        if principal:
            converted, end = files_of(peft, path_initial_model_for_weight_conversion=f"{initial}/start")
            out["converted"] = dict(config=converted, end=end, logits=flat({"logits": self.logits(peft)}))
        return out

    def sums(self, targets):
        """Weighted sums of two adapters of different ranks and scalings (equal ranks for "linear")."""
        out = {}
        for method in ["linear", "cat", "svd"]:
            peft = None
            adapters = []
            for i, (name, r) in enumerate([("one", 2), ("two", 2 if method == "linear" else 3)]):
                config = LoraConfig(r=r, lora_alpha=4 - i, target_modules=targets[i])
                if peft is None:
                    peft = get_peft_model(self.base(), config, adapter_name=name)
                else:
                    peft.add_adapter(name, config)
            torch.manual_seed(3)
            with torch.no_grad():
                for name, p in sorted(peft.named_parameters()):
                    if "lora_" in name:
                        p.normal_(0, 0.2)
            for name in ["one", "two"]:
                with tempfile.TemporaryDirectory() as folder:
                    peft.save_pretrained(folder, selected_adapters=[name])
                    path = pathlib.Path(folder) / name
                    config = json.loads((path / "adapter_config.json").read_text())
                    adapters.append(dict(
                        config={k: v for k, v in config.items() if v is not None},
                        start=base64.b64encode((path / "adapter_model.safetensors").read_bytes()).decode(),
                    ))
            peft.add_weighted_adapter(["one", "two"], [0.7, -0.4], "sum", combination_type=method)
            peft.set_adapter("sum")
            peft.eval()
            out[method] = dict(adapters=adapters, logits=flat({"logits": self.logits(peft)}))
        return out

    def write(self, name, varieties, targets, **more):
        model = self.base()
        out = dict(config=model.config.to_diff_dict(), weights=packed(model.state_dict()), **more,
                   logits=flat({"logits": self.logits(model)}),
                   varieties={key: self.variety(**options) for key, options in varieties.items()}, sums=self.sums(targets))
        file = HERE / f"peft_{name}.json"
        file.write_text(json.dumps(out, default=str) + "\n")
        print(name, file.stat().st_size, {k: [round(v["losses"][i], 4) for i in (0, 9)] for k, v in out["varieties"].items()})


torch.manual_seed(2)
ids = torch.randint(3, 30, (2, 7))


def next_token_loss(logits):
    return torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))


LLAMA = dict(
    vocab_size=30, hidden_size=12, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=32, attention_bias=True, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
)
ATTENTION = ["q_proj", "v_proj"]
Case(lambda: LlamaForCausalLM(LlamaConfig(**LLAMA)), dict(input_ids=ids), next_token_loss).write(
    "llama",
    dict(
        lora=dict(target_modules=[*ATTENTION, "down_proj"], rank_pattern={"layers.1.mlp.down_proj": 3}, alpha_pattern={"v_proj": 5}),
        rslora=dict(target_modules=ATTENTION, use_rslora=True, rank_pattern={"q_proj": 3}),
        dora=dict(target_modules=[*ATTENTION, "down_proj"], use_dora=True),
        pissa=dict(target_modules=[*ATTENTION, "down_proj"], init_lora_weights="pissa"),
        pissa_rslora=dict(target_modules=ATTENTION, init_lora_weights="pissa", use_rslora=True),
        pissa_dora=dict(target_modules=ATTENTION, init_lora_weights="pissa", use_dora=True),
        embedding=dict(target_modules=["embed_tokens", "v_proj"]),
        embedding_dora=dict(target_modules=["embed_tokens"], use_dora=True),
        bias_all=dict(target_modules=ATTENTION, bias="all", modules_to_save=["lm_head"]),
        lora_only=dict(target_modules=ATTENTION, bias="lora_only"),
        layers=dict(target_modules=ATTENTION, layers_to_transform=[1], layers_pattern=["layers"]),
        pattern=dict(target_modules=r".*\.(q|k)_proj", exclude_modules=r".*layers\.0.*k_proj", modules_to_save=["norm"]),
        orthogonal=dict(target_modules=ATTENTION, init_lora_weights="orthogonal"),
    ),
    [ATTENTION, ["q_proj", "up_proj"]],
    ids=ids.tolist(),
)

GPT2 = dict(vocab_size=30, n_positions=16, n_embd=12, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2)
Case(lambda: GPT2LMHeadModel(GPT2Config(**GPT2)), dict(input_ids=ids), next_token_loss).write(
    "gpt2",
    dict(
        lora=dict(target_modules=["c_attn", "c_proj"], fan_in_fan_out=True),
        rslora=dict(target_modules=["c_attn"], fan_in_fan_out=True, use_rslora=True),
        dora=dict(target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, use_dora=True),
        pissa=dict(target_modules=["c_attn", "mlp.c_proj"], fan_in_fan_out=True, init_lora_weights="pissa"),
        embedding=dict(target_modules=["wpe", "c_attn"], bias="lora_only"),
    ),
    [["c_attn"], ["c_attn", "c_fc"]],
    ids=ids.tolist(),
)

BERT = dict(vocab_size=30, max_position_embeddings=16, dim=12, hidden_dim=16, n_layers=2, n_heads=2, num_labels=3, pad_token_id=0)
mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
labels = torch.tensor([2, 0])
BERT_ATTENTION = ["q_lin", "v_lin"]
Case(
    lambda: DistilBertForSequenceClassification(DistilBertConfig(**BERT)), dict(input_ids=ids, attention_mask=mask),
    lambda logits: torch.nn.functional.cross_entropy(logits, labels),
).write(
    "distilbert",
    dict(
        lora=dict(target_modules=[*BERT_ATTENTION, "lin1"], modules_to_save=["classifier"], task_type="SEQ_CLS"),
        rslora=dict(target_modules=BERT_ATTENTION, use_rslora=True),
        dora=dict(target_modules=[*BERT_ATTENTION, "lin2"], use_dora=True),
        pissa=dict(target_modules=[*BERT_ATTENTION, "out_lin"], init_lora_weights="pissa"),
        head=dict(target_modules=["pre_classifier", "classifier"], bias="all"),
    ),
    [BERT_ATTENTION, ["q_lin", "lin1"]],
    ids=ids.tolist(), mask=mask.tolist(), labels=labels.tolist(),
)
