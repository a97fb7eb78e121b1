"""Graphs of random operations: forward and backward as close to float64 as eager is.

A hundred seeds are fixed; fifty change with every commit, and a failure names its seed. `make fuzz`
runs two thousand: `SESTINA_FUZZ_SEEDS` says how many, `SESTINA_FUZZ_START` the first.
"""

import os
import subprocess
import time
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from sestina.fuser.launch.program import assemble
from tests.fuser.captured import lowered

FIXED, ROTATING = 100, 50
NUM_SEEDS = int(os.environ.get("SESTINA_FUZZ_SEEDS", "0"))
ROOT = Path(__file__).resolve().parents[2]


def first_seed():
    """The first of the seeds that change: of the commit, or of the day where there is none."""
    if "SESTINA_FUZZ_START" in os.environ:
        return int(os.environ["SESTINA_FUZZ_START"])
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=8", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return 1000 + int(done.stdout, 16)
    except (OSError, subprocess.CalledProcessError):
        return 1000 + int(time.time()) // 86400 * ROTATING


SHAPES = [(8, 32), (6, 10), (4, 64), (2, 34), (1, 16), (16, 2), (3, 130)]


def written(a, b):
    made = a.clone()
    made[:, 1:].mul_(2)
    made[0].add_(b[-1])
    return made


def picked(a, _):
    index = torch.arange(a.numel()).reshape(a.shape) * 7
    rows = functional.embedding(index[:, 0].remainder(a.shape[0]), a)
    return a.gather(1, index.remainder(a.shape[1])) + rows


def batch_normed(a, _):
    if a.shape[0] == 1:
        return a * 2
    return functional.batch_norm(a, None, None, training=True)


OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a / (b.abs() + 1),
    lambda a, b: a - b.mean(-1, keepdim=True),
    lambda a, b: torch.where(a > b, a, b) * 0.5,
    lambda a, b: torch.maximum(a, b) - torch.minimum(a, b * 0.3),
    lambda a, _: a.tanh(),
    lambda a, _: functional.gelu(a),
    lambda a, _: functional.silu(a) + a.relu() - a.clamp(-0.5, 0.7),
    lambda a, _: (a.abs() + 0.1).log() * (a * a + 1).rsqrt(),
    lambda a, _: a.softmax(-1),
    lambda a, _: a.softmax(0),
    lambda a, _: a.log_softmax(-1) * 0.1,
    lambda a, _: functional.layer_norm(a, (a.shape[-1],)),
    batch_normed,
    lambda a, _: a.transpose(0, 1).contiguous().transpose(0, 1),
    lambda a, _: a.reshape(-1, 2).t().contiguous().reshape(a.shape),
    lambda a, _: a.reshape(a.shape[0], 2, -1).flip(1).reshape(a.shape),
    lambda a, _: a.t().reshape(a.shape),
    lambda a, b: a + b.sum(0),
    lambda a, b: a + b.amax(1, keepdim=True),
    lambda a, b: a * b.std() + b[:, :1].expand_as(b),
    lambda a, b: torch.cat([a[:, 1:], b[:, :1]], 1),
    lambda a, b: torch.stack([a, b], 1).sum(1),
    lambda a, _: functional.pad(a[:, 1:], (0, 1)) + a.tril() - a.roll(1, 1),
    lambda a, _: a[:, torch.arange(a.shape[1])],
    picked,
    lambda a, _: (a @ a.t()) @ a * 0.1,
    lambda a, _: a.cumsum(1) * 0.1,
    written,
    lambda a, _: a.double().mul(1.5).float(),
    lambda a, b: a.masked_fill(torch.ones_like(b).tril() > 0, 0.25),
    lambda a, b: (a.abs() > -1).sum(0) * 0.1 + b,
]


def graph_of(generator):
    """A function of two tensors, made of some of the operations."""

    def drawn(count):
        return int(torch.randint(count, (), generator=generator))

    plan = [(drawn(len(OPERATIONS)), drawn(100), drawn(100)) for _ in range(3 + drawn(14))]

    def function(x, y):
        made = [x, y]
        for operation, first, second in plan:
            made.append(OPERATIONS[operation](made[first % len(made)], made[second % len(made)]))
        return made[-1], made[len(made) // 2] + made[-2]

    return function, SHAPES[drawn(len(SHAPES))], drawn(2) == 1


def with_gradients(function):
    """The results and the gradients of the arguments, as the joint graph of training has them."""

    def both(x, y):
        def total(x, y):
            results = function(x, y)
            return sum(result.sin().mean() for result in results), results

        gradients, results = torch.func.grad(total, (0, 1), has_aux=True)(x, y)
        return (*results, *gradients)

    return both


def check_random_graph(seed):
    generator = torch.Generator().manual_seed(seed)
    function, shape, is_trained = graph_of(generator)
    x, y = (torch.randn(shape, generator=generator) for _ in range(2))
    if is_trained:
        function = with_gradients(function)
    graph = lowered(function, x, y).graph
    ours = assemble(graph).run([x.clone(), y.clone()])
    # What PyTorch infers when it captures, which now and then is not what its kernels do.
    for mine, layout in zip(ours, graph.layouts, strict=True):
        assert mine.stride() == layout.strides
    # How far results move with the last bit of the arguments says what rounding may do to them.
    moved = [[move(x), move(y)] for move in (one_up, one_down, torch.clone)]
    eager = zip(*(function(*arguments) for arguments in moved), strict=True)
    for mine, theirs, exact in zip(ours, eager, function(x.double(), y.double()), strict=True):
        is_finite = exact.isfinite() & torch.stack(theirs).isfinite().all(0)
        assert bool((mine.isfinite() | ~is_finite).all())
        error, *allowed = (float((t - exact)[is_finite].abs().amax()) for t in (mine, *theirs))
        scale = float(exact[is_finite].abs().amax())
        assert error <= 4 * max(allowed) + 2e-6 * scale, (error, allowed, scale)


def one_up(x):
    return torch.nextafter(x, torch.full_like(x, float("inf")))


def one_down(x):
    return torch.nextafter(x, torch.full_like(x, float("-inf")))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(FIXED))
def test_random_graphs_are_as_exact_as_aten(seed):
    check_random_graph(seed)


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_other_random_graphs_are_as_exact_as_aten():
    start, wrong = first_seed(), {}
    for seed in range(start, start + (NUM_SEEDS or ROTATING)):
        try:
            check_random_graph(seed)
        except Exception as error:  # noqa: BLE001 - each seed is named with what went wrong
            wrong[seed] = f"{type(error).__name__}: {error}"
    assert wrong == {}, f"check_random_graph(seed) of tests/{Path(__file__).name} shows each"
