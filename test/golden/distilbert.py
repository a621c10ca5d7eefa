"""Writes distilbert.json: a tiny random DistilBERT classifier from transformers.

Hidden states of the encoder, logits, and the gradients of one step, without padding and with padding on either side.
Run: python3 -P test/golden/distilbert.py (torch, transformers, safetensors).
"""

import base64
import json
import pathlib

import torch
from safetensors.torch import save
from transformers import DistilBertConfig, DistilBertForSequenceClassification

torch.set_num_threads(1)
CONFIG = dict(
    model_type="distilbert", vocab_size=30, max_position_embeddings=12, n_layers=2, n_heads=2, dim=12, hidden_dim=20, activation="gelu",
    dropout=0.1, attention_dropout=0.1, seq_classif_dropout=0.2, initializer_range=0.3, pad_token_id=0,
    id2label={"0": "no", "1": "yes", "2": "maybe"}, label2id={"no": 0, "yes": 1, "maybe": 2},
)
WATCHED = [
    "distilbert.embeddings.word_embeddings.weight", "distilbert.embeddings.position_embeddings.weight",
    "distilbert.transformer.layer.0.attention.k_lin.weight", "distilbert.transformer.layer.0.attention.q_lin.bias",
    "distilbert.transformer.layer.1.ffn.lin1.weight", "distilbert.transformer.layer.1.output_layer_norm.weight", "classifier.bias",
]


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()}, {"format": "pt"})).decode()


def build(**changes):
    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(DistilBertConfig(**{**CONFIG, **changes})).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "orm.weight" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
    return model


def step(model, ids, mask, labels):
    model.zero_grad()
    hidden = model.distilbert(ids, attention_mask=mask).last_hidden_state
    logits = model(ids, attention_mask=mask).logits
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    parameters = dict(model.named_parameters())
    return dict(mask=mask.tolist(), loss=loss.item(), values=packed(
        {"hidden": hidden, "logits": logits, **{f"gradient.{name}": parameters[name].grad for name in WATCHED}}))


model = build()
torch.manual_seed(1)
ids = torch.randint(1, CONFIG["vocab_size"], (3, 8))
labels = torch.tensor([2, 0, 1])
lengths = torch.tensor([8, 5, 3])[:, None]
place = torch.arange(8)[None]
relu = build(activation="relu")(ids).logits
pathlib.Path(__file__).with_name("distilbert.json").write_text(json.dumps(dict(
    config=CONFIG, weights=packed(model.state_dict()), ids=ids.tolist(), labels=labels.tolist(), relu=packed({"logits": relu}),
    whole=step(model, ids, torch.ones_like(ids), labels), right=step(model, ids, (place < lengths).long(), labels),
    left=step(model, ids, (place >= 8 - lengths).long(), labels),
)) + "\n")
