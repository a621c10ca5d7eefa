"""The benchmark's rows in native PyTorch, asked through lines of JSON as serve.ts says. Argument: threads.

Run by `npm run bench peers` where python3 has torch; the LoRA step needs transformers and peft too.
"""

import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
MASK = 0xFFFFFFFF
BATCHES = 4


def bits(seed, n):
    """The finalizer of MurmurHash3 on index + seed · the golden ratio, as data.ts."""
    h = (torch.arange(n, dtype=torch.int64) + (seed * 0x9E3779B9 & MASK)) & MASK
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & MASK
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & MASK
    return h ^ (h >> 16)


def uniform(seed, shape, bound=1.0):
    h = bits(seed, math.prod(shape))
    return (((h >> 8).double() / 0x800000 - 1) * bound).float().reshape(shape)


def integers(seed, shape, limit):
    return (bits(seed, math.prod(shape)) % limit).reshape(shape)


def inference(compute):
    def run():
        with torch.no_grad():
            return compute()

    return run, run()


def matmul(s):
    a = uniform(1, [s["batch"], *([s["m"], s["k"]] if s["layout"][0] == "N" else [s["k"], s["m"]])])
    b = uniform(2, [s["batch"], *([s["k"], s["n"]] if s["layout"][1] == "N" else [s["n"], s["k"]])])
    left = a if s["layout"][0] == "N" else a.transpose(1, 2)
    right = b if s["layout"][1] == "N" else b.transpose(1, 2)
    return inference(lambda: left @ right)


def elementwise(s):
    x, weight, bias = uniform(1, [s["rows"], s["cols"]]), uniform(2, [s["cols"]]), uniform(3, [s["cols"]])
    computes = {
        "softmax": lambda: F.softmax(x, -1),
        "silu": lambda: F.silu(x),
        "geluTanh": lambda: F.gelu(x, approximate="tanh"),
        "gelu": lambda: F.gelu(x),
        "layerNorm": lambda: F.layer_norm(x, [s["cols"]], weight, bias),
        "rmsNorm": lambda: F.rms_norm(x, [s["cols"]], weight, 1e-5),
    }
    return inference(computes[s["kind"]])


def attention(s):
    shape = [s["B"], s["H"], s["T"], s["D"]]
    q, k, v = inputs = [uniform(seed, shape).requires_grad_() for seed in (1, 2, 3)]
    dy = uniform(4, shape)

    def run():
        F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(dy)
        values = q.grad
        for x in inputs:
            x.grad = None
        return values

    return run, run()


def adam(s):
    parameter = uniform(1, [s["n"]]).requires_grad_()
    parameter.grad = uniform(2, [s["n"]])
    optimizer = torch.optim.Adam([parameter], lr=1e-3, fused=True)
    optimizer.step()
    return optimizer.step, parameter.detach().clone()


def dispatch(_):
    a, b = torch.tensor([1.5], requires_grad=True), torch.tensor([2.5], requires_grad=True)
    return lambda: a + b, [4.0]


def parameters(s):
    return {
        name: (torch.ones(shape) if bound is None else uniform(seed, shape, bound)).requires_grad_()
        for seed, (name, shape, bound) in enumerate(s["parameters"])
    }


def step_of(forward, batches, optimizer):
    taken = 0

    def step():
        nonlocal taken
        inputs, targets = batches[taken % BATCHES]
        taken += 1
        loss = F.cross_entropy(forward(inputs).reshape(targets.numel(), -1), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step, [step() for _ in range(5)]


def mlp(s):
    p = parameters(s)

    def forward(x):
        x = F.relu(F.linear(x, p["layers.0.weight"], p["layers.0.bias"]))
        x = F.relu(F.linear(x, p["layers.2.weight"], p["layers.2.bias"]))
        return F.linear(x, p["layers.4.weight"], p["layers.4.bias"])

    batches = [
        (uniform(1000 + i, [s["batch"], s["sizes"][0]]), integers(2000 + i, [s["batch"]], s["sizes"][-1]))
        for i in range(BATCHES)
    ]
    return step_of(forward, batches, torch.optim.Adam(p.values(), lr=s["lr"], fused=True))


def gpt(s):
    p = parameters(s)
    B, T, dim, heads = s["B"], s["T"], s["dim"], s["heads"]

    def linear(x, name):
        return F.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))

    def norm(x, name):
        return F.layer_norm(x, [dim], p[f"{name}.weight"], p[f"{name}.bias"])

    def block(x, name):
        qkv = linear(norm(x, f"{name}.ln1"), f"{name}.qkv").chunk(3, -1)
        q, k, v = (h.reshape(B, T, heads, -1).transpose(1, 2) for h in qkv)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, dim)
        x = x + linear(mixed, f"{name}.proj")
        up = F.gelu(linear(norm(x, f"{name}.ln2"), f"{name}.up"), approximate="tanh")
        return x + linear(up, f"{name}.down")

    def forward(ids):
        x = F.embedding(ids, p["token.weight"]) + p["position.weight"]
        for i in range(s["layers"]):
            x = block(x, f"blocks.{i}")
        return linear(norm(x, "norm"), "head")

    batches = [tuple(integers(seed + i, [B, T], s["vocabulary"]) for seed in (1000, 2000)) for i in range(BATCHES)]
    optimizer = torch.optim.AdamW(p.values(), lr=s["lr"], weight_decay=s["weightDecay"], fused=True)
    return step_of(forward, batches, optimizer)


def lora(s):
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(s["model"], dtype=torch.float32)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets))
    named = sorted((name.replace(".default", ""), p) for name, p in model.named_parameters() if "lora_A" in name)
    with torch.no_grad():
        for seed, (_, p) in enumerate(named):
            p.copy_(uniform(seed, p.shape, 0.1))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-3, weight_decay=0.0, fused=True)
    shape = [s["B"], s["T"]]
    batches = [tuple(integers(seed + i, shape, s["vocabulary"]) for seed in (1000, 2000)) for i in range(BATCHES)]
    return step_of(lambda ids: model(ids).logits, batches, optimizer)


CASES = {"matmul": matmul, "attention": attention, "adam": adam, "dispatch": dispatch, "mlp": mlp, "gpt": gpt, "lora": lora}


def seconds(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def prepare(s):
    run, values = CASES.get(s["kind"], elementwise)(s)
    flat = values if isinstance(values, list) else values.detach().reshape(-1)
    stride = max(1.0, len(flat) / 64)
    values = [float(flat[int(i * stride)]) for i in range(min(64, len(flat)))]
    run()
    return run, {"values": values, "once": seconds(run)}


def timed(run, milliseconds):
    """As in bench/serve.ts: one call before that is not timed, then three at the least."""
    run()
    times, end = [], time.perf_counter() + milliseconds / 1000
    while len(times) < 3 or time.perf_counter() < end:
        times.append(seconds(run))
    return {"seconds": statistics.median(times)}


def main():
    run = None
    print(json.dumps({"about": {"name": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads()}}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if question["do"] == "prepare":
                run, answer = prepare(question["spec"])
            elif question["do"] == "time":
                answer = timed(run, question["milliseconds"])
            else:
                run, answer = None, {"dropped": True}
        except Exception as error:
            answer = {"why": f"failed: {error}".split("\n")[0][:200]}
        print(json.dumps(answer), flush=True)


main()
