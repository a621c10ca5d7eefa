"""Writes indexing.json: values and gradients of PyTorch's indexing, shape operations, reductions and einsum.

python3 -P test/golden/indexing.py    # pip install torch

A case is an operation's name, its arguments (the k-th tensor as "$k"), the tensors, the results, the gradient of the
first result, and the gradients of the float tensors.
"""

import json
from pathlib import Path

import numpy
import torch

generator = torch.Generator().manual_seed(3)
inf, nan = float("inf"), float("nan")


def r(*shape):
    return torch.randn(shape, generator=generator).mul(100).round().div(100)


def ids(high, *shape):
    return torch.randint(0, high, shape, generator=generator)


def mask(*shape):
    return torch.rand(shape, generator=generator) < 0.5


def number(value):
    if isinstance(value, float) and (value != value or value in (inf, -inf)):
        return {inf: "Infinity", -inf: "-Infinity"}.get(value, "NaN")
    return float(str(numpy.float32(value))) if isinstance(value, float) else value


def encoded(value):
    if isinstance(value, list):
        return [encoded(v) for v in value]
    if isinstance(value, dict):
        return {key: encoded(v) for key, v in value.items()}
    return number(value)


def packed(t):
    kind = {torch.float32: "float32", torch.int64: "int32", torch.bool: "bool"}[t.dtype]
    return {"shape": list(t.shape), "dtype": kind, "data": [number(v) for v in t.detach().flatten().tolist()]}


def case(op, args, f, *tensors):
    leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]
    results = f(*leaves)
    results = list(results) if isinstance(results, tuple) else [results]
    first = results[0]
    entry = {"op": op, "args": encoded(args), "tensors": [packed(t) for t in tensors], "results": [packed(t) for t in results]}
    if first.requires_grad:
        dy = r(*first.shape)
        first.backward(dy)
        entry["dy"] = packed(dy)
        entry["gradients"] = [packed(t.grad) if t.grad is not None else None for t in leaves]
    return entry


def movement():
    x = r(3, 4, 5)
    yield case("slice", ["$0", [[1, None], None, [-3, -1]]], lambda t: t[1:, :, -3:-1], x)
    yield case("slice", ["$0", [-1, [0, 9, 2]]], lambda t: t[-1, 0:9:2], x)
    yield case("slice", ["$0", [[2, 1]]], lambda t: t[2:1], x)
    yield case("indexSelect", ["$0", 1, "$1"], lambda t, i: t.index_select(1, i), x, ids(4, 7))
    yield case("indexSelect", ["$0", -1, "$1"], lambda t, i: t.index_select(-1, i), x, ids(5, 3))
    yield case("gather", ["$0", 1, "$1"], lambda t, i: t.gather(1, i), x, ids(4, 3, 6, 5))
    yield case("gather", ["$0", 0, "$1"], lambda t, i: t.gather(0, i), x, ids(3, 2, 3, 4))
    yield case("gather", ["$0", -1, "$1"], lambda t, i: t.gather(-1, i), x, ids(5, 3, 4, 1))
    yield case("scatterAdd", ["$0", 1, "$1", "$2"], lambda t, i, s: t.scatter_add(1, i, s), x, ids(4, 3, 6, 5), r(3, 6, 5))
    yield case("scatterAdd", ["$0", 0, "$1", "$2"], lambda t, i, s: t.scatter_add(0, i, s), x, ids(3, 4, 2, 3), r(4, 2, 3))
    yield case("maskedFill", ["$0", "$1", -2.5], lambda t, m: t.masked_fill(m, -2.5), x, mask(3, 4, 5))
    yield case("maskedFill", ["$0", "$1", -inf], lambda t, m: t.masked_fill(m, -inf), x, mask(4, 1))
    yield case("pad", ["$0", [1, 2]], lambda t: torch.nn.functional.pad(t, (1, 2)), x)
    yield case("pad", ["$0", [1, -2, -1, 3], {"value": 1.5}], lambda t: torch.nn.functional.pad(t, (1, -2, -1, 3), value=1.5), x)
    yield case("flip", ["$0", [0, -1]], lambda t: t.flip(0, -1), x)
    yield case("roll", ["$0", 7], lambda t: t.roll(7), x)
    yield case("roll", ["$0", [1, -3], {"dims": [0, 2]}], lambda t: t.roll((1, -3), (0, 2)), x)
    for diagonal in [0, -1, 2, -9, 9]:
        yield case("tril", ["$0", {"diagonal": diagonal}], lambda t: t.tril(diagonal), x)
        yield case("triu", ["$0", {"diagonal": diagonal}], lambda t: t.triu(diagonal), x)
    yield case("repeat", ["$0", [2, 1, 3]], lambda t: t.repeat(2, 1, 3), r(2, 3, 1))
    yield case("repeat", ["$0", [2, 2, 1]], lambda t: t.repeat(2, 2, 1), r(2, 3))
    yield case("repeatInterleave", ["$0", 3, {"dim": 1}], lambda t: t.repeat_interleave(3, 1), r(2, 3, 2))
    yield case("repeatInterleave", ["$0", 2], lambda t: t.repeat_interleave(2), r(2, 3))
    yield case("repeatInterleave", ["$0", "$1", {"dim": 0}], lambda t, n: t.repeat_interleave(n, 0), r(3, 2), torch.tensor([2, 0, 3]))
    yield case("oneHot", ["$0", 4], lambda i: torch.nn.functional.one_hot(i, 4), ids(4, 2, 3))


def reductions():
    x = r(2, 3, 4)
    zeros = torch.tensor([[1.5, 0, 2, -3], [0, 2, 0, 1], [1, 2, 3, 4]])
    ties = torch.tensor([[1.0, 3, 3, -3], [2, 2, 2, 2], [0, -1, 0, 1]])
    special = torch.tensor([[1.0, nan, -inf, inf], [-0.0, 0.0, inf, nan], [-inf, -inf, -inf, -inf], [inf, inf, 1, 2]])
    large = r(3, 6) + 1000
    yield case("prod", ["$0", {"dim": 1}], lambda t: t.prod(1), x)
    yield case("prod", ["$0"], lambda t: t.prod(), zeros[:1])
    yield case("prod", ["$0", {"dim": 1, "keepdim": True}], lambda t: t.prod(1, keepdim=True), zeros)
    for op, f in {"variance": torch.var, "std": torch.std}.items():
        yield case(op, ["$0"], lambda t: f(t), x)
        yield case(op, ["$0", {"dim": [0, 2]}], lambda t: f(t, (0, 2)), x)
        yield case(op, ["$0", {"dim": 1, "correction": 0, "keepdim": True}], lambda t: f(t, 1, correction=0, keepdim=True), x)
        # in float64: PyTorch's float32 gradient has only the digits that a rounded mean of 1000 leaves
        yield case(op, ["$0", {"dim": 1}], lambda t: f(t.double(), 1).float(), large)
        yield case(op, ["$0", {"dim": 1}], lambda t: f(t, 1), torch.full((2, 3), 0.1))
    for p in [2, 1, 0, 3, 0.5, 1.5, -1, inf, -inf]:
        yield case("norm", ["$0", {"p": p, "dim": -1}], lambda t: torch.linalg.vector_norm(t, p, -1), x)
        yield case("norm", ["$0", {"p": p, "dim": -1}], lambda t: torch.linalg.vector_norm(t, p, -1), ties)
    yield case("norm", ["$0", {"dim": [0, 2], "keepdim": True}], lambda t: torch.linalg.vector_norm(t, 2, (0, 2), keepdim=True), x)
    yield case("norm", ["$0"], lambda t: t.norm(), torch.zeros(3))
    yield case("logsumexp", ["$0", {"dim": 1}], lambda t: t.logsumexp(1), x)
    yield case("logsumexp", ["$0", {"dim": [0, 2], "keepdim": True}], lambda t: t.logsumexp((0, 2), keepdim=True), 100 * x)
    yield case("logsumexp", ["$0", {"dim": 1}], lambda t: t.logsumexp(1), special)
    for dim in range(3):
        yield case("cumsum", ["$0", {"dim": dim}], lambda t: t.cumsum(dim), x)
    for dim in range(3):
        for descending in [False, True]:
            f = lambda t: tuple(t.sort(dim=dim, descending=descending, stable=True))
            yield case("sort", ["$0", {"dim": dim, "descending": descending}], f, x)
    for descending in [False, True]:
        f = lambda t: tuple(t.sort(dim=1, descending=descending, stable=True))
        yield case("sort", ["$0", {"descending": descending}], f, ties)
        yield case("sort", ["$0", {"descending": descending}], f, special)
    yield case("topk", ["$0", 2], lambda t: tuple(t.topk(2)), x)
    yield case("topk", ["$0", 3, {"dim": 1, "largest": False}], lambda t: tuple(t.topk(3, 1, largest=False)), x)


def products():
    a, b, c = r(2, 3, 4), r(2, 4, 5), r(3, 5)
    v, w, square = r(3), r(4), r(3, 3)
    for spec, *tensors in [
        ("bij,bjk->bik", a, b),
        ("bij,bjk", a, b),
        ("bij,bjk->ki", a, b),
        ("bij,bjk,ik->b", a, b, c),
        ("bij, bjk, ik -> jk", a, b, c),
        ("bij,ik->jkb", a, c),
        ("i,j->ij", v, w),
        ("i,j", v, w),
        ("j,i", w, v),
        ("i,i", v, r(3)),
        ("i,i->i", v, r(3)),
        ("ij,ij->", c, r(3, 5)),
        ("ij,ij->j", c, r(3, 5)),
        ("ii", square),
        ("ii->i", square),
        ("ii,ij->ij", square, c),
        ("bij->jbi", a),
        ("bij->", a),
        ("bij->i", a),
        ("ba", r(2, 3)),
        ("...ij,...jk->...ik", a, b),
        ("...ij,jk", a, r(4, 2)),
        ("...i,...i->...", a, w),
        ("i...,i->...", r(3, 2), v),
        ("b...,b...->b", a, r(2, 3, 4)),
        ("bhtd,bhsd->bhts", r(2, 2, 3, 4), r(2, 2, 2, 4)),
        ("bij,bjk->bik", a, r(1, 4, 5)),
        ("ij,jk,kl->il", r(2, 3), r(3, 4), r(4, 2)),
        ("ab,cd->bd", r(2, 3), r(2, 3)),
    ]:
        args = [spec, *[f"${i}" for i in range(len(tensors))]]
        yield case("einsum", args, lambda *t: torch.einsum(spec, *t), *tensors)
    yield case("outer", ["$0", "$1"], lambda s, t: s.outer(t), v, w)


def main():
    cases = [*movement(), *reductions(), *products()]
    Path(__file__).with_suffix(".json").write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")


main()
