"""Writes conv.json: convolution, pooling, interpolation and normalization, and networks of them.

Run: python3 -P test/golden/conv.py (torch, safetensors; -P since safetensors.py lies beside).
"""

import base64
import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)


def packed(tensors):
    return base64.b64encode(save({k: v.detach().clone().contiguous() for k, v in tensors.items()})).decode()


def random(*shape):
    return torch.randn(shape, requires_grad=True)


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def case(name, op, run, inputs, args=(), extra=None, **options):
    """run(inputs…, args…, **options): inputs are tensors with gradients, args are passed as they are."""
    y = run(*inputs, *args, **options)
    dy = torch.randn_like(y)
    grads = torch.autograd.grad(y, inputs, dy)
    tensors = dict(y=y, dy=dy)
    for i, (x, dx) in enumerate(zip(inputs, grads)):
        tensors |= {f"x{i}": x, f"d{i}": dx}
    facts = dict(args=list(args), options={camel(k): v for k, v in (extra or options).items()})
    return dict(name=f"{op}: {name}", op=op, tensors=packed(tensors), **facts)


def conv2d(name, x, w, **options):
    return case(name, "conv2d", F.conv2d, (random(*x), random(*w), random(w[0])), **options)


def transposed(name, x, w, groups=1, **options):
    inputs = (random(*x), random(*w), random(w[1] * groups))
    return case(name, "convTranspose2d", F.conv_transpose2d, inputs, groups=groups, **options)


def interpolate(name, x, **options):
    return case(name, "interpolate", F.interpolate, (random(*x),), **options)


def batch_norm(name, *shape, **options):
    c = shape[1]
    inputs = (random(*shape), random(c), random(c))
    run = lambda x, w, b, **o: F.batch_norm(x, torch.zeros(c), torch.ones(c), w, b, **o)
    return case(name, "batchNorm", run, inputs, **options)


functions = [
    conv2d("plain", (2, 3, 6, 5), (4, 3, 3, 3)),
    conv2d("stride and padding", (2, 2, 7, 8), (3, 2, 3, 4), stride=[2, 3], padding=[1, 2]),
    conv2d("dilation", (1, 2, 9, 9), (2, 2, 3, 2), dilation=[2, 3], padding=1),
    conv2d("groups", (2, 4, 5, 5), (6, 2, 3, 3), groups=2, padding=1),
    conv2d("depthwise", (1, 3, 6, 6), (3, 1, 3, 3), groups=3, stride=2, padding=1),
    conv2d("pointwise", (2, 5, 3, 4), (7, 5, 1, 1)),
    conv2d("same, even kernel", (1, 2, 5, 6), (2, 2, 4, 2), padding="same"),
    case("sequence", "conv1d", F.conv1d, (random(2, 4, 11), random(4, 2, 3), random(4)), stride=2, padding=2, groups=2),
    case("same", "conv1d", F.conv1d, (random(3, 9), random(2, 3, 4), random(2)), padding="same", dilation=2),
    transposed("plain", (2, 3, 3, 4), (3, 2, 3, 2)),
    transposed("upsampling", (1, 4, 3, 3), (4, 2, 4, 4), stride=2, padding=1, groups=2),
    transposed("output padding", (2, 2, 3, 2), (2, 3, 3, 3), stride=[2, 3], padding=[1, 0], output_padding=[1, 2]),
    transposed("dilation", (1, 2, 3, 3), (2, 2, 2, 3), dilation=[2, 1]),
    case("plain", "maxPool2d", F.max_pool2d, (random(2, 3, 5, 6),), (2,)),
    case("overlap", "maxPool2d", F.max_pool2d, (random(1, 2, 7, 7),), ([3, 2],), stride=[2, 1], padding=[1, 1]),
    case("ceil", "maxPool2d", F.max_pool2d, (random(1, 2, 6, 7),), (3,), stride=2, padding=1, ceil_mode=True),
    case("plain", "avgPool2d", F.avg_pool2d, (random(2, 3, 5, 6),), (2,)),
    case("padding", "avgPool2d", F.avg_pool2d, (random(1, 2, 5, 6),), (3,), stride=2, padding=1),
    case("inside", "avgPool2d", F.avg_pool2d, (random(1, 2, 5, 6),), (3,), stride=2, padding=1, count_include_pad=False),
    case("ceil", "avgPool2d", F.avg_pool2d, (random(1, 2, 6, 8),), (3,), stride=2, padding=1, ceil_mode=True),
    case("uneven", "adaptiveAvgPool2d", F.adaptive_avg_pool2d, (random(2, 2, 7, 5),), ([3, 2],)),
    case("larger", "adaptiveAvgPool2d", F.adaptive_avg_pool2d, (random(2, 3, 4),), ([5, 4],)),
    interpolate("nearest", (1, 2, 3, 4), size=[7, 5]),
    interpolate("nearest, factor", (1, 2, 5, 7), scale_factor=[1.7, 0.6], mode="nearest"),
    interpolate("bilinear", (2, 2, 3, 5), size=[7, 4], mode="bilinear"),
    interpolate("bilinear, corners", (1, 2, 3, 5), size=[7, 4], mode="bilinear", align_corners=True),
    interpolate("bilinear, factor", (1, 2, 5, 7), scale_factor=[1.7, 0.6], mode="bilinear"),
    batch_norm("training, images", 3, 4, 3, 5, training=True),
    batch_norm("training, rows", 6, 5, training=True, eps=1e-3),
    batch_norm("running", 2, 3, 7, training=False),
    case("images", "groupNorm", lambda x, g: F.group_norm(x, g), (random(2, 6, 3, 4),), (3,)),
    *[case(f"p = {p}", "normalize", F.normalize, (random(3, 4, 5),), p=p, dim=d) for p, d in [(2, 1), (1, 2), (3, 0)]],
]


def record(module, x):
    """Outputs and gradients of Σ output·dy, grouped as checkLayer reads them."""
    state = {k: v.clone() for k, v in module.state_dict().items()}
    y = module(x)
    dy = torch.randn_like(y)
    leaves = {"d.x": x, **{f"grad.{k}": v for k, v in module.named_parameters()}}
    grads = dict(zip(leaves, torch.autograd.grad((y * dy).sum(), leaves.values())))
    groups = dict(state=state, inputs=dict(x=x), outputs=dict(y=y), seeds=dict(y=dy), gradients=grads)
    return packed({f"{group}/{k}": v for group, members in groups.items() for k, v in members.items()})


def network():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.GroupNorm(3, 6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 2, stride=2),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(36, 5),
        nn.BatchNorm1d(5, momentum=0.3),
    )


def sequences():
    return nn.Sequential(nn.Conv1d(3, 4, 3, padding="same", dilation=2), nn.BatchNorm1d(4, affine=False))


def training():
    """Five steps of SGD from a state, then the state and what evaluation gives."""
    net = network()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    sgd = torch.optim.SGD(net.parameters(), lr=0.05)
    batches, targets = torch.randn(5, 4, 2, 8, 8), torch.randn(5, 4, 5)
    losses = []
    for x, target in zip(batches, targets):
        loss = F.mse_loss(net(x), target)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        y = net(batches[0])
    groups = dict(before=before, after=net.state_dict(), data=dict(x=batches, target=targets, y=y))
    return dict(losses=losses, tensors=packed({f"{g}/{k}": v for g, m in groups.items() for k, v in m.items()}))


def settled(make, *shape):
    """A network whose running statistics have seen batches, in evaluation."""
    net = make()
    for _ in range(4):
        net(torch.randn(shape) * 2 + 1)
    return record(net.eval(), random(*shape))


out = dict(
    functions=functions,
    layers=[
        dict(name="network", tensors=settled(network, 2, 2, 8, 8)),
        dict(name="sequences", tensors=settled(sequences, 2, 3, 9)),
    ],
    training=training(),
)
pathlib.Path(__file__).with_name("conv.json").write_text(json.dumps(out) + "\n")
